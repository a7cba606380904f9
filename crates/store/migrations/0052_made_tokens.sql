-- How many tokens a connector's application and its asserted subjects have is counted without reading one of them.
create index minted_tokens_without_grant on minted_tokens (team, connector, installation) where grant_id is null;
