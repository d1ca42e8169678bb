//! TEMPORARY: not to be committed.
use super::headers::{domains, from, proxies};
use super::*;
use crate::auth_context::AuthContext;
use crate::effect::{Answers, Completion, Effects};
use serde_json::{Value, json};

fn shown(r: &ProviderResult, provider: &str) -> Value {
    match r.identities() {
        [] => json!({"status": r.status().as_str()}),
        [i, ..] => {
            let all = PeerEvidence::new([(provider, r.clone())]).unwrap();
            json!({"status":"available","principal": i.principal(), "digest": all.binding_digest([provider], None)})
        }
    }
}
fn hs(v: &Value) -> Vec<(String, String)> {
    v.as_object().unwrap().iter().map(|(a, b)| (a.clone(), b.as_str().unwrap().to_owned())).collect()
}
fn run(p: &Provider, h: &[(String, String)]) -> Option<Value> {
    for (_, v) in h {
        if http::HeaderValue::from_str(v).is_err() && http::HeaderValue::from_bytes(v.as_bytes()).is_err() {
            return None;
        }
    }
    let h: Vec<_> = h.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    Some(shown(&from(p, Some("127.0.0.1:1"), &h), p.name()))
}
fn identity(v: &Value) -> PeerIdentity {
    let t = |n: &str| v[n].as_str().unwrap().to_owned();
    let mut i = PeerIdentity::new(
        t("provider"),
        t("source"),
        Assurance::parse(&t("assurance")).unwrap(),
        t("issuer"),
        t("transport"),
    );
    if let Some(key) = v["key"].as_str() {
        i.subject = Some(Subject {
            kind: SubjectKind::parse(&t("kind")).unwrap(),
            key: key.into(),
            stability: Stability::parse(&t("stability")).unwrap(),
            verified: v["verified"] == true,
        });
    }
    i.attributes = JsonObject::new(v["attributes"].as_object().unwrap().clone()).unwrap();
    i.capabilities = JsonObject::new(v["capabilities"].as_object().unwrap().clone()).unwrap();
    i.capabilities_verified = v["capver"] == true;
    i.source_address = v["addr"].as_str().map(Into::into);
    i
}
fn ours(kind: &str, input: &Value) -> Option<Value> {
    let one = |n: &str, v: &Value| vec![(n.to_owned(), v.as_str().unwrap().to_owned())];
    Some(match kind {
        "spiffe" => json!(if domains().check(input.as_str().unwrap()).is_ok() { "valid" } else { "invalid" }),
        "xfcc" => {
            return run(&providers::envoy(domains(), proxies()), &one("X-Forwarded-Client-Cert", input));
        }
        "gcp" => return run(&providers::gcp_load_balancer(domains(), proxies()), &hs(input)),
        "serve" => return run(&providers::tailscale_serve("tailnet:x", proxies()).unwrap(), &hs(input)),
        "iroh" => {
            return run(
                &providers::iroh_header("iroh:x", proxies()).unwrap(),
                &one("VGI-Forwarded-Iroh-Endpoint", input),
            );
        }
        #[cfg(feature = "mtls-pem")]
        "nginx" => {
            let mut h = one("X-SSL-Client-Cert", &input["cert"]);
            h.extend(one("X-SSL-Client-Verify", &input["verify"]));
            return run(&providers::nginx(domains(), proxies()), &h);
        }
        "whois" => {
            let p = providers::tailscale_local_api("tailnet:x").unwrap();
            let mut q = PeerQuery::new("tcp");
            q.source = Some("100.64.0.1:1");
            let ask = p.resolve(&q).unwrap_err();
            let mut effects = Effects::default();
            let id = effects.ask(&ask);
            effects.complete(
                id,
                Completion::value(WhoIsResponse {
                    status: input["status"].as_u64().unwrap() as u16,
                    content_type: input["type"].as_str().map(Into::into),
                    body: input["body"].as_str().unwrap().to_owned().into(),
                }),
            );
            let mut answers = Answers::none();
            answers.insert(ask.key, effects.take(id).unwrap().into_answer());
            shown(&p.resolve(&q.with_answers(&answers)).unwrap(), "tailscale")
        }
        "policy" => {
            let all = PeerEvidence::new(input["results"].as_array().unwrap().iter().map(|r| {
                let ids: Vec<_> = r["identities"].as_array().unwrap().iter().map(identity).collect();
                let s = ProviderStatus::parse(r["status"].as_str().unwrap()).unwrap();
                (
                    r["provider"].as_str().unwrap().to_owned(),
                    if ids.is_empty() {
                        ProviderResult::without(s)
                    } else {
                        ProviderResult::all_available(ids)
                    },
                )
            }))
            .unwrap();
            let a = &input["app"];
            let app = if a["authenticated"] == true {
                AuthContext::new(a["domain"].as_str().unwrap(), a["principal"].as_str().unwrap())
            } else {
                AuthContext::anonymous()
            };
            let ps: Vec<&str> =
                input["providers"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
            let link = input["link"] == true;
            let policy = match input["kind"].as_str().unwrap() {
                "observe" => Policy::observe(),
                "require" => Policy::require(ps[0]),
                "primary" => Policy::primary(ps[0]),
                "any_of" => Policy::any_of(ps.iter().copied()),
                _ => Policy::all_of(ps.iter().copied(), move |_: &AuthContext, _: &[&PeerIdentity]| link),
            };
            let result = match policy.decide(&all, app.clone()) {
                Ok(c) => {
                    json!({"domain": c.domain, "principal": c.principal, "authenticated": c.authenticated, "binding": c.peer_evidence_binding(), "claims": c.claims})
                }
                Err(PolicyError::Unavailable { .. }) => json!({"error":"unavailable"}),
                Err(_) => json!({"error":"denied"}),
            };
            json!({"result": result, "digest": all.binding_digest(ps.iter().copied(), Some(&app).filter(|a| a.authenticated))})
        }
        _ => return None,
    })
}
#[test]
fn as_the_reference() {
    let Ok(text) = std::fs::read_to_string("/tmp/peerid-diff.jsonl") else { return };
    let mut counts: std::collections::BTreeMap<String, usize> = Default::default();
    let mut shown = String::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let kind = case["kind"].as_str().unwrap();
        let verdict = match ours(kind, &case["input"]) {
            None => "not a header".to_owned(),
            Some(found) if found == case["expected"] => "same".into(),
            Some(found) => {
                let status = |v: &Value| {
                    v.as_str()
                        .or(v["status"].as_str())
                        .or(v["result"]["error"].as_str())
                        .unwrap_or("value")
                        .to_owned()
                };
                let verdict = format!("{} -> {}", status(&case["expected"]), status(&found));
                let n = counts.get(&format!("{kind} {verdict}")).copied().unwrap_or(0);
                if n < 12 {
                    shown.push_str(&format!(
                        "{kind} {verdict}\n  in {}\n  ref {}\n  our {found}\n",
                        case["input"], case["expected"]
                    ));
                }
                verdict
            }
        };
        *counts.entry(format!("{kind} {verdict}")).or_default() += 1;
    }
    std::fs::write("/tmp/peerid-diff.out", format!("{counts:#?}\n{shown}")).unwrap();
}
