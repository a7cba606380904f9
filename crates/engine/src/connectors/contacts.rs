//! Phone numbers of people whom a connector with phone lines may write to. No type of connector has lines so far, so
//! there is nobody to add; what is asked for is still read, so that a mistyped number is told as such.

use std::convert::Infallible;

use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault};

use crate::broker::Broker;

impl Broker {
    /// Adds a contact, in the form of E.164, to a connector with phone lines. Nothing can come of it yet but a refusal.
    pub async fn add_contact(
        &self,
        caller: &Caller,
        connector: &str,
        phone_number: &str,
    ) -> Result<Infallible, Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorUpdate).await?;
        if !is_e164(phone_number) {
            let why = "phoneNumber is + and 2 to 15 digits, the first of which is not 0 (E.164).";
            return Err(Fault::new(Code::InvalidRequest, why).with("field", "phoneNumber"));
        }
        let connector = &entry.row.connector;
        Err(Fault::new(
            Code::InvalidConnector,
            format!(
                "{} has no phone lines: connectors of the type {} take no contacts.",
                connector.uid,
                connector.r#type.as_str()
            ),
        ))
    }
}

fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_the_official_client_reads_it() {
        for good in ["+12025551234", "+49", "+123456789012345"] {
            assert!(is_e164(good), "{good}");
        }
        for bad in
            ["", "+", "+1", "12025551234", "+02025551234", "+1 202", "+1234567890123456", "+12a", "+１２"]
        {
            assert!(!is_e164(bad), "{bad}");
        }
    }
}
