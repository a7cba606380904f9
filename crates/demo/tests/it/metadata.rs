use crate::world::World;

#[tokio::test]
async fn metadata_stands_where_clients_of_a_path_issuer_look() {
    let world = World::new().await;
    for place in [
        "/.well-known/oauth-authorization-server/demo",
        "/.well-known/openid-configuration/demo",
        "/demo/.well-known/openid-configuration",
    ] {
        let answer = world.get(&format!("{}{place}", world.origin)).await;
        assert_eq!(answer.status, 200, "{place}");
        let metadata = answer.json();
        let issuer = &world.issuer;
        assert_eq!(metadata["issuer"], *issuer, "{place}");
        assert_eq!(metadata["authorization_endpoint"], format!("{issuer}/authorize"));
        assert_eq!(metadata["token_endpoint"], format!("{issuer}/token"));
        assert_eq!(metadata["revocation_endpoint"], format!("{issuer}/revoke"));
        assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        assert_eq!(
            metadata["grant_types_supported"],
            serde_json::json!(["authorization_code", "refresh_token", "client_credentials"])
        );
    }
}

#[tokio::test]
async fn an_issuer_without_a_path_can_be_served_at_the_root() {
    let world = World::with(|options| options.issuer.set_path("")).await;
    // Building the whole is the test: overlapping routes would panic.
    let _root = world.demo.router().merge(world.demo.well_known_router());
}
