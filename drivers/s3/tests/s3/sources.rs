//! Sources of credentials: variables, shared files, and services.

use crate::server::{Answer, Asked, Server};
use crate::support::{SECRET, hides_secrets, server};
use std::fs;
use std::path::Path;
use std::time::Duration;
use vgi_rpc_s3::credentials::{
    ContainerCredentials, EnvironmentCredentials, InstanceCredentials, ProfileCredentials,
    WebIdentityCredentials,
};
use vgi_rpc_s3::{Chain, Credentials, CredentialsError, Environment, ProvideCredentials};

const END: Duration = Duration::from_secs(1_900_000_000);
const END_TEXT: &str = "2030-03-17T17:46:40Z";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::from_pairs(pairs.iter().copied())
}

/// Returns the credentials: the id, the token, and the expiry. The secret is that of the tests.
#[track_caller]
fn provided(source: &impl ProvideCredentials) -> (String, Option<String>, Option<Duration>) {
    let credentials: Credentials = source.provide().unwrap();
    hides_secrets(&credentials, &"");
    assert_eq!(credentials.secret_access_key.reveal(), SECRET);
    let token = credentials.session_token.map(|token| token.reveal().to_owned());
    (credentials.access_key_id, token, credentials.expires_at)
}

#[track_caller]
fn error(source: &impl ProvideCredentials) -> CredentialsError {
    let error = source.provide().expect_err("there are no credentials");
    hides_secrets(&error, &error);
    error
}

#[track_caller]
fn is_missing(source: &impl ProvideCredentials) {
    assert!(matches!(error(source), CredentialsError::NotConfigured { .. }));
}

/// Returns a server that answers every request like this.
fn service(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
    let server = server();
    server.set_front(move |asked| Some(answer(asked)));
    server
}

fn plain(status: u16, text: &str) -> Answer {
    (status, Vec::new(), text.to_owned())
}

fn json(id: &str) -> Answer {
    let text = format!(
        "{{\"Code\":\"Success\",\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{SECRET}\",\"Token\":\"token\",\
         \"Expiration\":\"{END_TEXT}\",\"LastUpdated\":\"x\"}}"
    );
    plain(200, &text)
}

fn all(id: &str) -> (String, Option<String>, Option<Duration>) {
    (id.to_owned(), Some("token".to_owned()), Some(END))
}

#[test]
fn variables() {
    let keys = [
        ("AWS_ACCESS_KEY_ID", "VARIABLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_CREDENTIAL_EXPIRATION", END_TEXT),
    ];
    let source = |count: usize| EnvironmentCredentials::new(environment(&keys[..count]));
    assert_eq!(provided(&source(4)), all("VARIABLE"));
    let invalid = [keys[0], keys[1], keys[2], ("AWS_CREDENTIAL_EXPIRATION", "soon")];
    assert_eq!(provided(&EnvironmentCredentials::new(environment(&invalid))).2, None);
    assert_eq!(provided(&source(3)), ("VARIABLE".into(), Some("token".into()), None));
    assert_eq!(provided(&source(2)), ("VARIABLE".into(), None, None));
    assert!(matches!(error(&source(1)), CredentialsError::Incomplete { .. }));
    is_missing(&source(0));
    is_missing(&EnvironmentCredentials::new(environment(&[("AWS_ACCESS_KEY_ID", " ")])));
}

#[test]
fn shared_files() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    is_missing(&ProfileCredentials::new(environment(&[("HOME", home)])));
    fs::create_dir(folder.path().join(".aws")).unwrap();
    let path = |name: &str| folder.path().join(".aws").join(name);
    let keys = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n");
    let credentials = format!(
        "[default]\n{}[work]\n{}aws_session_token=token\n[half]\naws_access_key_id=HALF\n",
        keys("DEFAULT"),
        keys("WORK")
    );
    fs::write(path("credentials"), credentials).unwrap();
    let config = format!(
        "[profile other]\n{}[default]\n{}[profile sso]\nsso_session = x\n[profile chained]\nrole_arn = a\n\
         source_profile = work\n[profile empty]\nregion = eu-west-1\n[profile work]\nregion = eu-west-1\n\
         [profile role]\nrole_arn = a\n{}[profile process]\n{}credential_process = x\n",
        keys("OTHER"),
        keys("CONFIG"),
        keys("ROLE"),
        keys("PROCESS")
    );
    fs::write(path("config"), config).unwrap();
    let source =
        |profile: &str| ProfileCredentials::new(environment(&[("HOME", home), ("AWS_PROFILE", profile)]));
    assert_eq!(provided(&source("")), ("DEFAULT".into(), None, None));
    assert_eq!(provided(&source("work")), ("WORK".into(), Some("token".into()), None));
    assert_eq!(provided(&source("other")).0, "OTHER");
    assert_eq!(provided(&source("other").profile("work")).0, "WORK");
    let absent = CredentialsError::NoProfile { profile: "absent".to_owned() };
    assert_eq!(error(&source("absent")), absent, "no other identity is used");
    is_missing(&source("empty"));
    assert!(matches!(error(&source("half")), CredentialsError::Incomplete { .. }));
    let unsupported = [
        ("sso", "sso_session"),
        ("chained", "source_profile"),
        ("role", "role_arn"),
        ("process", "credential_process"),
    ];
    for (profile, setting) in unsupported {
        let profile_name = profile.to_owned();
        let expected = CredentialsError::Unsupported { profile: profile_name, setting };
        assert_eq!(error(&source(profile)), expected);
    }
    // Changes while the process runs are read again.
    let default = source("");
    fs::write(path("credentials"), format!("[default]\n{}", keys("ROTATED"))).unwrap();
    assert_eq!(provided(&default).0, "ROTATED");
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, format!("[default]\n{}", keys("ELSEWHERE"))).unwrap();
    let variables = [("HOME", home), ("AWS_SHARED_CREDENTIALS_FILE", elsewhere.to_str().unwrap())];
    assert_eq!(provided(&ProfileCredentials::new(environment(&variables))).0, "ELSEWHERE");
    let absent = folder.path().join("absent");
    for variable in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
        for path in [home, absent.to_str().unwrap()] {
            let source = ProfileCredentials::new(environment(&[("HOME", home), (variable, path)]));
            assert!(matches!(error(&source), CredentialsError::File { .. }), "{variable}={path}");
        }
    }
    let nothing = [("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"), ("AWS_CONFIG_FILE", "/dev/null")];
    is_missing(&ProfileCredentials::new(environment(&nothing)));
    // A home that is not a folder has no such files.
    let no_folder = elsewhere.to_str().unwrap();
    is_missing(&ProfileCredentials::new(environment(&[("HOME", no_folder)])));
}

fn assumed(id: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{SECRET}\
         </SecretAccessKey><SessionToken>token</SessionToken><Expiration>{END_TEXT}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}

fn write(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn web_identity() {
    let folder = tempfile::tempdir().unwrap();
    let token = write(&folder.path().join("token"), &format!("{SECRET}.a+b/c=\n"));
    let server = service(|_| plain(200, &assumed("WEB")));
    let endpoint = server.endpoint();
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &*token),
        ("AWS_ENDPOINT_URL_STS", &*endpoint),
    ];
    let source = WebIdentityCredentials::new(environment(&variables));
    assert_eq!(provided(&source), all("WEB"));
    let asked = server.take_log().remove(0);
    assert_eq!((&*asked.method, &*asked.path), ("POST", "/"));
    assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
    // A profile may also contain the token.
    let config = format!(
        "[profile web]\nrole_arn = r\nweb_identity_token_file = {token}\nregion = eu-west-1\n[profile half]\n\
         web_identity_token_file = {token}\n"
    );
    let config = write(&folder.path().join("config"), &config);
    let profile = |name: &str| {
        let variables = [("AWS_CONFIG_FILE", &*config), ("AWS_PROFILE", name), variables[2]];
        ProfileCredentials::new(environment(&variables))
    };
    assert_eq!(provided(&profile("web")), all("WEB"));
    assert!(matches!(error(&profile("half")), CredentialsError::Incomplete { .. }));
    is_missing(&WebIdentityCredentials::new(environment(&[variables[0], variables[2]])));
    let no_role = WebIdentityCredentials::new(environment(&variables[1..]));
    assert!(matches!(error(&no_role), CredentialsError::Incomplete { .. }));
    server.set_front(|_| Some(plain(400, "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>s3cr3t</Message></Error></ErrorResponse>")));
    let code = Some("ExpiredTokenException".to_owned());
    assert_eq!(error(&source), CredentialsError::Refused { source_name: "web identity", status: 400, code });
    server.set_front(|_| Some(plain(200, &assumed("WEB").replace("Expiration", "Until"))));
    assert!(matches!(error(&source), CredentialsError::Malformed { expected: "Expiration", .. }));
}

#[test]
fn container() {
    let folder = tempfile::tempdir().unwrap();
    let token = write(&folder.path().join("token"), &format!("Bearer {SECRET}\n"));
    let server = service(|asked| {
        let has_token = asked.headers.get("authorization").is_some_and(|value| value == "Bearer s3cr3t");
        if asked.path == "/creds" && has_token { json("CONTAINER") } else { plain(401, "") }
    });
    let url = format!("{}/creds", server.endpoint());
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url);
    let source = |variable| ContainerCredentials::new(environment(&[full, variable]));
    assert_eq!(provided(&source(("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &*token))), all("CONTAINER"));
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(provided(&source(("AWS_CONTAINER_AUTHORIZATION_TOKEN", &*bearer))), all("CONTAINER"));
    let refused = error(&source(("AWS_CONTAINER_AUTHORIZATION_TOKEN", "x")));
    assert!(matches!(refused, CredentialsError::Refused { status: 401, .. }));
    for path in ["/no/such/file", folder.path().to_str().unwrap()] {
        let file = source(("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path));
        assert!(matches!(error(&file), CredentialsError::File { .. }), "{path}");
    }
    // The path authorizes the request for credentials.
    let nowhere = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/v2/credentials/id")];
    let found = error(&ContainerCredentials::new(environment(&nowhere)));
    assert!(found.to_string().contains("http://127.0.0.1:1"), "{found}");
    assert!(!format!("{found} {found:?}").contains("credentials/id"), "{found:?}");
    let elsewhere = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://h.example/creds")];
    let invalid = error(&ContainerCredentials::new(environment(&elsewhere)));
    assert!(matches!(invalid, CredentialsError::Invalid { .. }), "no token is sent there");
    for path in ["@h.example/creds", ".h.example/creds", "creds"] {
        let relative = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path)];
        let invalid = error(&ContainerCredentials::new(environment(&relative)));
        assert!(matches!(invalid, CredentialsError::Invalid { .. }), "{path}");
    }
    is_missing(&ContainerCredentials::new(environment(&[])));
    for text in ["no JSON", "{\"AccessKeyId\":\"x\"}", "{\"Code\":\"Failed\"}"] {
        server.set_front(move |_| Some(plain(200, text)));
        let source = source(("AWS_CONTAINER_AUTHORIZATION_TOKEN", "x"));
        assert!(matches!(error(&source), CredentialsError::Malformed { .. }), "{text}");
    }
}

#[test]
fn instance() {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let answer = |asked: &Asked| {
        let header = |name: &str| asked.headers.get(name).map(String::as_str);
        if asked.method == "PUT" && asked.path == "/latest/api/token" {
            let seconds = header("x-aws-ec2-metadata-token-ttl-seconds").unwrap().parse::<u64>().unwrap();
            return plain(if seconds > 0 { 200 } else { 400 }, SECRET);
        }
        // Version 1 of the service is not used.
        if header("x-aws-ec2-metadata-token") != Some(SECRET) {
            return plain(401, "");
        }
        match asked.path.strip_prefix(ROLES) {
            Some("") => plain(200, "my-role\n"),
            Some("my-role") => json("INSTANCE"),
            _ => plain(404, ""),
        }
    };
    let server = service(answer);
    let endpoint = server.endpoint() + "/";
    let variable = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*endpoint);
    let source = InstanceCredentials::new(environment(&[variable]));
    assert_eq!(provided(&source), all("INSTANCE"));
    assert_eq!(server.take_log().len(), 3);
    is_missing(&InstanceCredentials::new(environment(&[variable, ("AWS_EC2_METADATA_DISABLED", "TRUE")])));
    assert_eq!(server.take_log().len(), 0);
    server.set_front(move |asked| Some(if asked.path == ROLES { plain(404, "") } else { answer(asked) }));
    is_missing(&source);
    server.set_front(move |asked| {
        Some(if asked.path == ROLES { plain(200, "../../../user-data") } else { answer(asked) })
    });
    assert!(matches!(error(&source), CredentialsError::Malformed { .. }));
    server.set_front(|_| Some(plain(403, "")));
    assert!(matches!(error(&source), CredentialsError::Refused { status: 403, .. }));
    let nothing = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")];
    is_missing(&InstanceCredentials::new(environment(&nothing)));
}

#[test]
fn the_first_source_that_is_set_up_decides() {
    let folder = tempfile::tempdir().unwrap();
    let shared = format!("[default]\naws_access_key_id=FILE\naws_secret_access_key={SECRET}\n");
    let shared = write(&folder.path().join("credentials"), &shared);
    let server = service(|_| json("CONTAINER"));
    let url = format!("{}/creds", server.endpoint());
    let all = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_SHARED_CREDENTIALS_FILE", &*shared),
        ("AWS_ACCESS_KEY_ID", "VARIABLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let chain = |count: usize| Chain::standard(&environment(&all[..count]));
    assert_eq!(provided(&chain(5)).0, "VARIABLE");
    assert!(matches!(error(&chain(4)), CredentialsError::Incomplete { .. }), "no other identity is used");
    assert_eq!(provided(&chain(3)).0, "FILE");
    assert_eq!(provided(&chain(2)).0, "CONTAINER");
    let CredentialsError::NoSource(missing) = error(&chain(1)) else { panic!("it names the sources") };
    assert_eq!(missing.len(), 5);
}
