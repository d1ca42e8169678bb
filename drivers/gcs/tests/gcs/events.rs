//! The events about the credentials.

use crate::keys::{ACCESS_ID, hides_keys, hmac_key};
use crate::objects::store;
use crate::server::Server;
use crate::storage::{BUCKET, builder};
use crate::troubles::answer;
use vgi_rpc_external::ObjectNames;
use vgi_rpc_gcs::HmacKey;

#[path = "../../../../tests/events/kept.rs"]
mod kept;

use kept::Kept;

#[test]
fn an_event_says_that_credentials_are_refused_replaced_or_accepted_again() {
    let (kept, server) = (Kept::default(), Server::start());
    let bucket = format!("bucket=\"{BUCKET}\"");
    tracing::subscriber::with_default(kept.clone(), || {
        let wrong = HmacKey::new(ACCESS_ID, "s3cr3t-but-wrong").unwrap();
        let storage = builder(&server).credentials(wrong).build().unwrap();
        let store = store(1000, None);
        for _ in 0..3 {
            storage.put(store.object()).unwrap_err();
        }
        let refusals = kept.with(&[
            "WARN vgi_rpc_gcs",
            "has refused the credentials",
            "operation=\"PUT object\"",
            &bucket,
        ]);
        assert_eq!(refusals.len(), 1, "callers control how often it happens: {refusals:?}");
        assert!(
            refusals[0].contains("error=not allowed (") && refusals[0].contains("left_out=0"),
            "{refusals:?}"
        );
        storage.replace_credentials(hmac_key());
        assert_eq!(kept.with(&["INFO vgi_rpc_gcs", "were replaced", &bucket]).len(), 1);
        for _ in 0..2 {
            storage.put(store.object()).unwrap();
        }
        assert_eq!(kept.with(&["INFO vgi_rpc_gcs", "accepts the credentials again", &bucket]).len(), 1);
    });
    let events = kept.with(&["vgi_rpc_gcs"]);
    assert_eq!(events.len(), 3, "{events:?}");
    hides_keys(&events, &events.concat());
    assert!(!events.concat().contains("Signature="), "{events:?}");
}

#[test]
fn a_key_that_may_store_but_not_read_is_not_reported() {
    let (kept, server) = (Kept::default(), Server::start());
    server.state().troubles.push_back(answer(403, "AccessDenied"));
    tracing::subscriber::with_default(kept.clone(), || {
        let names = ObjectNames::by_content("by-content/").unwrap();
        let storage = builder(&server).names(names).build().unwrap();
        storage.put(store(1000, None).object()).unwrap();
    });
    assert_eq!(server.statuses(), [403, 200], "whether it exists, and then the object");
    assert!(!kept.has(&["vgi_rpc_gcs"]));
}
