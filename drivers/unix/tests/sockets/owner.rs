//! A socket path has at most one server, regardless of the order in which they start.

use crate::common::*;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use vgi_rpc_unix::{BoundSocketServer, Client, SocketFileError, SocketServer, SocketServerError};

fn server() -> SocketServer {
    SocketServer::new(service(&Gate::default()))
}

/// Leaves a socket at the path that no server listens on.
fn leave_stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(fs::symlink_metadata(path).unwrap().file_type().is_socket());
}

fn lock_file(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.owner", path.display()))
}

fn is_in_use(bound: &Result<BoundSocketServer, SocketServerError>) -> bool {
    matches!(bound, Err(SocketServerError::SocketFile(SocketFileError::InUse(_))))
}

#[test]
fn of_servers_that_begin_on_a_stale_path_at_once_one_listens_and_is_reached() {
    const SERVERS: usize = 16;
    for round in 0..60 {
        let path = socket_path();
        if round % 3 > 0 {
            leave_stale(&path);
        }
        if round % 3 > 1 {
            // As a killed server leaves it.
            File::create(lock_file(&path)).unwrap();
        }
        let start = Barrier::new(SERVERS);
        let mut bound: Vec<_> = thread::scope(|scope| {
            let begin = || {
                start.wait();
                server().bind_unix(&path)
            };
            let threads: Vec<_> = (0..SERVERS).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let winner = bound.iter().position(Result::is_ok).expect("one of them listens");
        let winner = bound.swap_remove(winner).unwrap();
        assert!(bound.iter().all(is_in_use), "{bound:?}");
        let handle = winner.handle();
        let thread = thread::spawn(|| winner.run());
        let mut client: Client = vgi_rpc_unix::connect_unix(&path).unwrap();
        greet(&mut client, "world").unwrap();
        handle.stop();
        thread.join().unwrap().unwrap();
        assert!(!path.exists() && !lock_file(&path).exists());
    }
}

#[test]
fn servers_that_follow_each_other_on_a_path_never_meet() {
    let path = socket_path();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    match server().bind_unix(&path) {
                        // The name belongs to this server while it listens.
                        Ok(bound) => {
                            assert!(path.exists());
                            assert!(is_in_use(&server().bind_unix(&path)));
                            drop(bound);
                        }
                        other => assert!(is_in_use(&other), "{other:?}"),
                    }
                }
            });
        }
    });
    assert!(!path.exists() && !lock_file(&path).exists());
}

#[test]
fn a_path_is_held_under_whatever_name_it_is_reached() {
    let folder = socket_path().with_extension("d");
    fs::create_dir(&folder).unwrap();
    let link = socket_path().with_extension("d");
    symlink(&folder, &link).unwrap();
    let bound = server().bind_unix(folder.join("socket")).unwrap();
    assert!(is_in_use(&server().bind_unix(link.join("socket"))));
    drop(bound);
    fs::remove_file(link).unwrap();
    // It must be empty.
    fs::remove_dir(folder).unwrap();
}

#[test]
fn a_listener_that_takes_no_lock_is_respected_all_the_same() {
    let path = socket_path();
    let other = UnixListener::bind(&path).unwrap();
    assert!(is_in_use(&server().bind_unix(&path)));
    assert!(!lock_file(&path).exists());
    drop(other);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_lock_of_a_launcher_is_not_the_servers() {
    let path = socket_path();
    let launchers = File::create(format!("{}.lock", path.display())).unwrap();
    launchers.lock().unwrap();
    drop(server().bind_unix(&path).unwrap());
    fs::remove_file(format!("{}.lock", path.display())).unwrap();
}

#[test]
fn a_lock_file_that_cannot_be_had_is_named() {
    let path = socket_path();
    let refused = |what: &str| match server().bind_unix(&path) {
        Err(SocketServerError::SocketFile(SocketFileError::Io { path: named, .. })) => {
            assert_eq!(named, lock_file(&path), "{what}");
        }
        other => panic!("{what}: {other:?}"),
    };
    fs::create_dir(lock_file(&path)).unwrap();
    refused("a folder");
    fs::remove_dir(lock_file(&path)).unwrap();
    let target = socket_path();
    symlink(&target, lock_file(&path)).unwrap();
    refused("a link");
    assert!(!target.exists());
    fs::remove_file(lock_file(&path)).unwrap();
    drop(server().bind_unix(&path).unwrap());
}
