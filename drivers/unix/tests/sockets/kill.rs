//! Processes killed while they work: the other side notices, and continues.

use crate::common::process::{Place, Process, end_with_parent, start_server, task, tell};
use crate::common::random::{Random, announce, seed};
use crate::common::walk::step;
use crate::common::{greet, until};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use vgi_rpc_unix::{CallError, Client, ServerGone};

/// Servers killed per transport.
const SERVERS: usize = 20;
/// Clients at the same time.
const CLIENTS: usize = 3;
/// Client processes that are killed.
const CLIENT_PROCESSES: usize = 24;
const SIGKILL: i32 = 9;

#[test]
fn clients_notice_a_killed_server_and_another_takes_its_socket_file() {
    let seed = seed();
    announce("kill::clients_notice_a_killed_server_and_another_takes_its_socket_file", seed);
    let place = Place::new_unix();
    kill_servers(&place, Random::new(seed));
    place.clean_up();
}

#[test]
fn clients_notice_a_killed_server_over_tcp() {
    let seed = seed();
    announce("kill::clients_notice_a_killed_server_over_tcp", seed);
    kill_servers(&Place::Tcp("0".into()), Random::new(seed));
}

#[test]
fn a_server_outlives_killed_clients() {
    let seed = seed();
    announce("kill::a_server_outlives_killed_clients", seed);
    let mut random = Random::new(seed);
    let place = Place::new_unix();
    let (server, place) = start_server(&place);
    let mut bystander = place.connect().unwrap();
    greet(&mut bystander, "first").unwrap();
    let descriptors = server.descriptors();

    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (until_over, counter, mut drawn) = (over.clone(), calls.clone(), random.split());
    let bystander = thread::spawn(move || {
        while !until_over.load(Ordering::Acquire) {
            step(&mut bystander, &mut drawn).unwrap();
            counter.fetch_add(1, Ordering::AcqRel);
        }
        bystander
    });
    for _ in 0..CLIENT_PROCESSES / CLIENTS {
        let mut start =
            || Process::start("kill::client_process", &format!("{} {}", random.next(), place.task()));
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| start()).collect();
        for client in &mut clients {
            thread::sleep(Duration::from_micros(random.below(10_000) as u64));
            assert_eq!(client.kill().signal(), Some(SIGKILL));
        }
        let before = calls.load(Ordering::Acquire);
        until("another client's calls go on", || calls.load(Ordering::Acquire) > before + 1);
    }
    over.store(true, Ordering::Release);
    let bystander = join(bystander);
    until("the killed clients' descriptors are back", || server.descriptors() == descriptors);
    drop(bystander);
    until("the last one is back", || server.descriptors() == descriptors - 1);
    greet(&mut place.connect().unwrap(), "still there").unwrap();
    place.clean_up();
}

#[test]
#[ignore = "a client that another test starts"]
fn client_process() {
    let Some(task) = task() else { return };
    end_with_parent();
    let (seed, place) = task.split_once(' ').unwrap();
    let mut random = Random::new(seed.parse().unwrap());
    let mut client = Place::of(place).connect().unwrap();
    greet(&mut client, "here").unwrap();
    tell("connected");
    loop {
        step(&mut client, &mut random).unwrap();
    }
}

/// Kills one server after another at one place while clients call it.
fn kill_servers(place: &Place, mut random: Random) {
    for _ in 0..SERVERS {
        let (mut server, place) = start_server(place);
        let calls = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (client, random, calls) = (place.connect().unwrap(), random.split(), calls.clone());
                thread::spawn(move || call_until_gone(client, random, &calls))
            })
            .collect();
        let enough = random.below(100);
        until("the clients make calls", || calls.load(Ordering::Acquire) >= enough);
        thread::sleep(Duration::from_micros(random.below(5_000) as u64));
        assert_eq!(server.kill().signal(), Some(SIGKILL));
        for client in clients {
            let mut client = join(client);
            // The client is unusable, and at once reports that the next call was not sent.
            let next = greet(&mut client, "anybody?");
            let Err(CallError::Transport(error)) = next else { panic!("{next:?}") };
            assert!(!error.may_have_reached_server() && error.downcast_ref() == Some(&ServerGone));
        }
        if let Place::Unix(path) = &place {
            assert!(path.exists(), "a killed server leaves its socket file");
            assert!(place.connect().is_err(), "no server accepts connections");
        }
    }
}

/// Calls until the server has ended, which the error must state.
fn call_until_gone(mut client: Client, mut random: Random, calls: &AtomicUsize) -> Client {
    loop {
        match step(&mut client, &mut random) {
            Ok(()) => calls.fetch_add(1, Ordering::AcqRel),
            Err(error) if error.transport_cause() == Some(&ServerGone) => return client,
            Err(other) => panic!("expected that the server is gone, got {other:?}"),
        };
    }
}

/// Waits for a thread that is about to end, with a timeout.
fn join<T>(thread: JoinHandle<T>) -> T {
    until("the calls end", || thread.is_finished());
    thread.join().unwrap()
}
