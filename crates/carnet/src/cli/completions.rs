//! `completions`: a script that lets a shell complete commands, flags, and the names of connectors and projects.
//!
//! The scripts of bash, zsh, fish and PowerShell ask `carnet complete` at every tab, so that they never go stale; that of
//! elvish knows commands and flags only.

use clap::CommandFactory;
use serde_json::json;

use super::args::{Cli, CompletionsArgs};
use super::failure::Failure;
use super::talk::Talk;

/// Prints the script.
pub(crate) fn print(talk: &mut Talk, args: &CompletionsArgs) -> Result<(), Failure> {
    let script = match args.shell {
        clap_complete::Shell::Bash => BASH.to_owned(),
        clap_complete::Shell::Zsh => ZSH.to_owned(),
        clap_complete::Shell::Fish => FISH.to_owned(),
        clap_complete::Shell::PowerShell => POWERSHELL.to_owned(),
        shell => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "carnet", &mut script);
            String::from_utf8_lossy(&script).into_owned()
        }
    };
    if talk.wants_json() {
        return talk.document(&json!({ "shell": args.shell.to_string(), "script": script }));
    }
    talk.raw(&script)
}

const BASH: &str = r#"# carnet completions bash > ~/.local/share/bash-completion/completions/carnet
_carnet() {
  local line candidates=()
  while IFS= read -r line; do
    candidates+=("${line%%$'\t'*}")
  done < <(carnet complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=("${candidates[@]}")
}
complete -o default -F _carnet carnet
"#;

const ZSH: &str = r#"#compdef carnet
# carnet completions zsh > "${fpath[1]}/_carnet"
_carnet() {
  local line
  local -a found
  while IFS= read -r line; do
    found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done < <(carnet complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${#found} )); then
    _describe carnet found
  else
    _files
  fi
}
if [[ ${funcstack[1]} == _carnet ]]; then
  _carnet "$@"
else
  compdef _carnet carnet
fi
"#;

const FISH: &str = r#"# carnet completions fish > ~/.config/fish/completions/carnet.fish
function __carnet_complete
    set -l words (commandline -opc) (commandline -ct)
    carnet complete -- $words[2..] 2>/dev/null
end
complete -c carnet -n 'test -n "$(__carnet_complete)"' -f -a '(__carnet_complete)'
complete -c carnet -n 'test -z "$(__carnet_complete)"' -F
"#;

const POWERSHELL: &str = r#"# carnet completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName carnet -ScriptBlock {
    param($word, $line, $position)
    $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.Extent.Text })
    if ($word -eq '') { $words += '' }
    carnet complete -- @words 2>$null | ForEach-Object {
        $value, $about = $_ -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
"#;
