//! The layers of the workspace: the allowed imports between crates, and between modules of the core, without cycles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use vgi_rpc_layers::{Crate, Import, circles, imports};

/// Every crate: its name, its folder, its root files, and the crates of the workspace that it may import. Each imports
/// only crates above its own line.
const CRATES: [(&str, &str, &[&str], &[&str]); 30] = [
    ("vgi_rpc_macros", "protocol/macros", &["lib.rs"], &[]),
    CORE_CRATE,
    ("vgi_rpc_transfer", "drivers/transfer", &["lib.rs"], &[]),
    ("vgi_rpc_socks", "drivers/socks", &["lib.rs"], &["vgi_rpc_transfer"]),
    ("vgi_rpc_memory", "drivers/memory", &["lib.rs"], &["vgi_rpc_protocol"]),
    ("vgi_rpc_shm", "drivers/shm", &["lib.rs"], &["vgi_rpc_protocol", "vgi_rpc_transfer"]),
    ("vgi_rpc_access_log", "drivers/access-log", &["lib.rs"], &["vgi_rpc_protocol"]),
    ("vgi_rpc_effects", "drivers/effects", &["lib.rs"], &["vgi_rpc_protocol"]),
    ("vgi_rpc_reactor", "drivers/reactor", &["lib.rs"], &["vgi_rpc_transfer"]),
    (
        "vgi_rpc_metrics",
        "drivers/metrics",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_access_log", "vgi_rpc_effects", "vgi_rpc_reactor"],
    ),
    ("vgi_rpc_tls", "drivers/tls", &["lib.rs"], &["vgi_rpc_protocol", "vgi_rpc_reactor"]),
    (
        "vgi_rpc_external",
        "drivers/external",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_effects", "vgi_rpc_tls"],
    ),
    (
        "vgi_rpc_documents",
        "drivers/documents",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_effects", "vgi_rpc_external"],
    ),
    (
        "vgi_rpc_gcs",
        "drivers/gcs",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_transfer", "vgi_rpc_external"],
    ),
    ("vgi_rpc_s3", "drivers/s3", &["lib.rs"], &["vgi_rpc_protocol", "vgi_rpc_external"]),
    ("vgi_rpc_proxy_protocol", "drivers/proxy-protocol", &["lib.rs"], &["vgi_rpc_reactor"]),
    (
        "vgi_rpc_blocking",
        "drivers/blocking",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_shm", "vgi_rpc_transfer", "vgi_rpc_effects"],
    ),
    (
        "vgi_rpc_client",
        "drivers/client",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_shm", "vgi_rpc_transfer", "vgi_rpc_effects"],
    ),
    (
        "vgi_rpc_recorder",
        "drivers/recorder",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_client", "vgi_rpc_reactor"],
    ),
    (
        "vgi_rpc_stdio",
        "drivers/stdio",
        &["lib.rs"],
        &[
            "vgi_rpc_protocol",
            "vgi_rpc_memory",
            "vgi_rpc_shm",
            "vgi_rpc_access_log",
            "vgi_rpc_effects",
            "vgi_rpc_blocking",
            "vgi_rpc_client",
        ],
    ),
    (
        "vgi_rpc_unix",
        "drivers/unix",
        &["lib.rs"],
        &[
            "vgi_rpc_protocol",
            "vgi_rpc_transfer",
            "vgi_rpc_socks",
            "vgi_rpc_memory",
            "vgi_rpc_shm",
            "vgi_rpc_access_log",
            "vgi_rpc_effects",
            "vgi_rpc_client",
            "vgi_rpc_reactor",
            "vgi_rpc_proxy_protocol",
            "vgi_rpc_tls",
        ],
    ),
    (
        "vgi_rpc_http",
        "drivers/http",
        &["lib.rs"],
        &[
            "vgi_rpc_protocol",
            "vgi_rpc_transfer",
            "vgi_rpc_socks",
            "vgi_rpc_memory",
            "vgi_rpc_access_log",
            "vgi_rpc_effects",
            "vgi_rpc_client",
            "vgi_rpc_reactor",
            "vgi_rpc_proxy_protocol",
            "vgi_rpc_tls",
        ],
    ),
    (
        "vgi_rpc_tailscale",
        "drivers/tailscale",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_transfer", "vgi_rpc_effects", "vgi_rpc_http"],
    ),
    (
        "vgi_rpc_login",
        "drivers/login",
        &["lib.rs"],
        &["vgi_rpc_protocol", "vgi_rpc_effects", "vgi_rpc_external", "vgi_rpc_documents", "vgi_rpc_http"],
    ),
    (
        "vgi_rpc_connect",
        "drivers/connect",
        &["lib.rs"],
        &["vgi_rpc_client", "vgi_rpc_stdio", "vgi_rpc_tls", "vgi_rpc_unix", "vgi_rpc_http"],
    ),
    (
        "vgi_rpc_worker",
        "drivers/worker",
        &["lib.rs"],
        &[
            "vgi_rpc_protocol",
            "vgi_rpc_memory",
            "vgi_rpc_metrics",
            "vgi_rpc_access_log",
            "vgi_rpc_effects",
            "vgi_rpc_external",
            "vgi_rpc_gcs",
            "vgi_rpc_s3",
            "vgi_rpc_recorder",
            "vgi_rpc_stdio",
            "vgi_rpc_proxy_protocol",
            "vgi_rpc_tls",
            "vgi_rpc_unix",
            "vgi_rpc_http",
        ],
    ),
    ("vgi_rpc_otel", "drivers/otel", &["lib.rs"], &["vgi_rpc_protocol", "vgi_rpc_effects", "vgi_rpc_client"]),
    ("vgi_rpc_sentry", "drivers/sentry", &["lib.rs"], &["vgi_rpc_protocol"]),
    ("vgi_rpc_fuzz", "fuzz", &["lib.rs"], &["vgi_rpc_protocol", "vgi_rpc_effects", "vgi_rpc_http"]),
    (
        "vgi_rpc_conformance_worker",
        "conformance-worker",
        &["main.rs", "client_driver/main.rs", "native_client/main.rs"],
        &[
            "vgi_rpc_protocol",
            "vgi_rpc_effects",
            "vgi_rpc_external",
            "vgi_rpc_stdio",
            "vgi_rpc_unix",
            "vgi_rpc_http",
            "vgi_rpc_connect",
            "vgi_rpc_worker",
            "vgi_rpc_otel",
        ],
    ),
];

/// The core itself.
const CORE_CRATE: (&str, &str, &[&str], &[&str]) =
    ("vgi_rpc_protocol", "protocol", &["lib.rs"], &["vgi_rpc_macros"]);

/// The top-level modules of the core from the lowest up: each imports only modules of earlier lines. The root file only
/// declares them.
const CORE: [&[&str]; 15] = [
    &["auth_context", "ids", "limits", "next", "one_line", "panics", "same_type"],
    &["memory", "redaction"],
    &["content_coding", "location"],
    &["ipc"],
    &["error"],
    &["wire"],
    &["values"],
    &["description", "external", "shm"],
    &["effect"],
    &["peer_identity"],
    &["client", "reflection", "server"],
    &["service"],
    &["identity"],
    &["access_log", "expansion", "http", "prelude"],
    &["lib"],
];

/// The folders of the core's `service` from the lowest up, which [`CORE`] treats as one module.
const SERVICE: [&[&str]; 9] = [
    &["conform", "peer"],
    &["context"],
    &["record", "handler"],
    &["declare"],
    &["hosting"],
    &["invocation"],
    &["call"],
    &["byte_stream"],
    &["mod"],
];

/// Returns the targets of a crate, one for each root file.
fn targets((name, folder, roots, _): (&str, &str, &[&str], &[&str])) -> Vec<Crate> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder).join("src");
    roots.iter().map(|root| Crate::read(name, &sources, root).unwrap()).collect()
}

fn names() -> Vec<String> {
    CRATES.iter().map(|(name, ..)| (*name).to_owned()).collect()
}

#[test]
fn crates_import_only_the_crates_below_them() {
    for entry @ (name, .., allowed) in CRATES {
        let imported: BTreeSet<_> = targets(entry)
            .iter()
            .flat_map(|target| imports(target, &names()))
            .filter_map(|import| match import {
                Import::Crate { to, .. } => Some(to),
                Import::File { .. } => None,
            })
            .collect();
        let allowed = allowed.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(imported, allowed, "{name}: left what it imports, right what the table says");
        let position = |name: &str| CRATES.iter().position(|(other, ..)| *other == name);
        assert!(
            imported.iter().all(|other| position(other) < position(name)),
            "{name} stands below what it imports"
        );
    }
}

#[test]
fn the_table_has_every_crate_of_the_workspace() {
    let manifest = include_str!("../../../../Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let members: BTreeSet<_> =
        members.split('"').skip(1).step_by(2).filter(|name| !name.starts_with("tests/")).collect();
    assert_eq!(members, CRATES.iter().map(|(_, folder, ..)| *folder).collect());
}

/// Cargo puts the examples of all crates into one folder, where one of two with the same name is overwritten.
#[test]
fn no_two_examples_have_the_same_name() {
    let mut seen = BTreeSet::new();
    for (_, folder, ..) in CRATES {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder).join("examples");
        for entry in std::fs::read_dir(examples).into_iter().flatten() {
            let path = entry.unwrap().path();
            let is_example = path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").exists();
            let name = path.file_stem().unwrap().to_owned();
            assert!(!is_example || seen.insert(name), "another crate has an example of this name: {path:?}");
        }
    }
    assert!(seen.len() > 10, "the examples are found: {seen:?}");
}

/// Returns the first part of a file's path: a folder, or a file without its extension.
fn module(file: &Path) -> String {
    Path::new(file.components().next().unwrap().as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned()
}

/// Asserts that the modules in this folder of the core are those of the table, and import one another only downward.
fn assert_layers(folder: &str, layers: &[&[&str]]) {
    let [core] = &targets(CORE_CRATE)[..] else { panic!("one target") };
    let in_folder = |file: &Path| file.strip_prefix(folder).ok().map(module);
    let found: BTreeSet<_> = core.files().filter_map(in_folder).collect();
    assert_eq!(found, layers.iter().copied().flatten().map(|module| (*module).to_owned()).collect());
    let layer = |module: &str| layers.iter().position(|modules| modules.contains(&module)).unwrap();
    let upward: Vec<(PathBuf, PathBuf)> = imports(core, &names())
        .into_iter()
        .filter_map(|import| match import {
            Import::File { from, to } => {
                let (importing, imported) = (in_folder(&from)?, in_folder(&to)?);
                let is_upward = importing != imported && layer(&imported) >= layer(&importing);
                is_upward.then_some((from, to))
            }
            Import::Crate { .. } => None,
        })
        .collect();
    assert_eq!(upward, []);
}

#[test]
fn modules_of_the_core_import_only_modules_below_them() {
    assert_layers("", &CORE);
}

#[test]
fn folders_of_the_service_import_only_folders_below_them() {
    assert_layers("service", &SERVICE);
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let mut found = Vec::new();
    for entry @ (name, ..) in CRATES {
        for target in targets(entry) {
            let imports = imports(&target, &names());
            for circle in circles(&imports) {
                found.push(format!("{name}:"));
                found.extend(imports.iter().filter_map(|import| match import {
                    Import::File { from, to } if circle.contains(from) && circle.contains(to) => {
                        Some(format!("    {} -> {}", from.display(), to.display()))
                    }
                    _ => None,
                }));
            }
        }
    }
    assert!(found.is_empty(), "these imports are cyclic:\n{}", found.join("\n"));
}

/// Tests of the reader, on a crate of a few files.
mod reader {
    use super::*;
    use std::fs;

    /// Returns the imports of a crate with these files.
    fn of(name: &str, files: &[(&str, &str)]) -> BTreeSet<Import> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        for (file, source) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, source).unwrap();
        }
        imports(&Crate::read(name, &folder, "lib.rs").unwrap(), &["other".to_owned()])
    }

    fn file(from: &str, to: &str) -> Import {
        Import::File { from: from.into(), to: to.into() }
    }

    #[test]
    fn names_are_followed_to_the_file_that_defines_them() {
        let found = of(
            "names",
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a/mod.rs", "mod deep; pub use deep::Deep as Renamed;"),
                ("a/deep.rs", "pub struct Deep;"),
                ("b.rs", "use crate::a::{Renamed, self}; fn f() -> other::Thing { super::a::absent() }"),
            ],
        );
        let other = Import::Crate { from: "b.rs".into(), to: "other".into() };
        let files =
            [file("a/mod.rs", "a/deep.rs"), file("b.rs", "a/deep.rs"), file("b.rs", "a/mod.rs"), other];
        assert_eq!(found, files.into_iter().collect());
        assert_eq!(circles(&found), []);
    }

    #[test]
    fn a_restricted_visibility_is_not_an_import() {
        let found = of(
            "visibility",
            &[
                ("lib.rs", "mod a;"),
                ("a/mod.rs", "mod deep; pub(in crate::a) use deep::deep;"),
                ("a/deep.rs", "pub(in crate::a) fn deep() {}"),
            ],
        );
        assert_eq!(found, [file("a/mod.rs", "a/deep.rs")].into_iter().collect());
    }

    #[test]
    fn circles_are_found_and_tests_left_out() {
        let found = of(
            "circle",
            &[
                ("lib.rs", "mod a; mod b; mod c; mod d;"),
                ("a.rs", "pub struct A(crate::b::B);"),
                ("b.rs", "use crate::c::C; pub struct B;"),
                ("c.rs", "pub struct C; impl C { fn f() { crate::a::A::new() } }"),
                ("d.rs", "use crate::a::A; #[cfg(test)] mod tests { use crate::e::E; } pub struct D;"),
            ],
        );
        let circle = ["a.rs", "b.rs", "c.rs"].map(PathBuf::from);
        assert_eq!(circles(&found), [BTreeSet::from(circle)]);
    }
}
