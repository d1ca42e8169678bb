//! What happens to a connection while its work is out: it is served all the same, and its end does not wait.

mod lines;
mod running;

use lines::PATIENCE;
use running::{Running, options, until};
use rustix::net::sockopt::set_socket_linger;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Ended, Listener, Timeout};

/// A unix socket's server.
fn on_unix(name: &str) -> (Running, std::path::PathBuf) {
    let path = std::env::temp_dir().join(format!("vgi-rpc-reactor-{name}-{}.sock", std::process::id()));
    (Running::on(Listener::unix(&path).unwrap(), options(|_| {})), path)
}

#[test]
fn output_arrives_before_the_work_ends() {
    let mut options = options(|_| {});
    for threads in [1, 1024] {
        options.threads = threads;
        let running = Running::new(options.clone());
        let mut client = running.connect();
        client.send("echo first\ntell halfway\necho last\n");
        assert_eq!(client.line(), "first\n");
        assert_eq!(client.line(), "halfway\n");
        client.expect_silence(Duration::from_millis(50));
        running.world.gate.open();
        assert_eq!(client.line(), "done\n");
        assert_eq!(client.line(), "last\n");
        // Told, and done at once: in order as well.
        for number in 0..200 {
            assert_eq!(client.ask(&format!("tell {number}")), format!("{number}\n"));
            assert_eq!(client.line(), "done\n");
        }
    }
}

#[test]
fn much_output_flows_as_its_peer_reads_it() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    const MUCH: usize = 30 << 20;
    client.send(format!("tell-much {MUCH}\n"));
    running.world.gate.wait_for(1);
    // The socket takes a part of it.
    thread::sleep(Duration::from_millis(200));
    assert_eq!(client.line().len(), MUCH + 1);
    running.world.gate.open();
    assert_eq!(client.line(), "done\n");
}

#[test]
fn a_peer_that_does_not_read_is_given_up_while_its_work_is_out() {
    let running = Running::new(options(|timeouts| {
        timeouts.output = Timeout { no_progress: Some(Duration::from_millis(300)), whole: None }
    }));
    let mut client = running.connect();
    client.send(format!("tell-much {}\n", 30 << 20));
    until("it is given up", || running.world.hung_up.load(Ordering::SeqCst) == 1);
    until("it is gone", || running.world.machines.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_peer_that_hangs_up_takes_its_machine_with_it() {
    let (running, path) = on_unix("hang-up");
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(b"wait\necho ahead\n").unwrap();
    running.world.gate.wait_for(1);
    drop(socket);
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
    assert_eq!(running.handle.connections(), 0);
    // The work runs on, and what it gives is of no use to anybody.
    running.world.gate.open();
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(b"echo on\nquit\n").unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert_eq!(said, "on\nbye\n");
}

#[test]
fn work_whose_peer_was_gone_before_it_began_is_run() {
    let (running, path) = on_unix("gone");
    for count in 1..=50 {
        let mut socket = UnixStream::connect(&path).unwrap();
        socket.write_all(b"wait\n").unwrap();
        drop(socket);
        running.world.gate.wait_for(count);
        until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    }
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 50);
}

#[test]
fn a_reset_is_a_hang_up() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("wait\n");
    running.world.gate.wait_for(1);
    set_socket_linger(client.0.get_ref(), Some(Duration::ZERO)).unwrap();
    drop(client);
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
}

#[test]
fn output_that_cannot_be_sent_is_a_hang_up() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    // More than the socket takes, and its peer is gone after the first bytes.
    client.send(format!("tell-much {}\n", 30 << 20));
    running.world.gate.wait_for(1);
    client.0.read_exact(&mut [0; 1000]).unwrap();
    drop(client);
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
}

#[test]
fn a_peer_that_only_stops_sending_gets_its_answer() {
    let (on_unix, path) = on_unix("half");
    let on_tcp = Running::new(options(|_| {}));
    let mut unix = UnixStream::connect(&path).unwrap();
    unix.write_all(b"wait\necho ahead\n").unwrap();
    let mut tcp = on_tcp.connect();
    tcp.send("wait\necho ahead\n");
    on_unix.world.gate.wait_for(1);
    on_tcp.world.gate.wait_for(1);
    unix.shutdown(Shutdown::Write).unwrap();
    tcp.0.get_ref().shutdown(Shutdown::Write).unwrap();
    tcp.expect_silence(Duration::from_millis(100));
    on_unix.world.gate.open();
    on_tcp.world.gate.open();
    let mut said = String::new();
    unix.read_to_string(&mut said).unwrap();
    assert_eq!(said, "waited\nahead\n");
    assert_eq!(tcp.rest(), said);
    for world in [&on_unix.world, &on_tcp.world] {
        assert_eq!(world.hung_up.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn machines_end_with_their_server_though_their_work_runs_on() {
    let running = Running::new(options(|_| {}));
    let mut clients: Vec<_> = (0..3).map(|_| running.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("wait\n"));
    running.world.gate.wait_for(3);
    let (world, began) = (running.world.clone(), Instant::now());
    running.handle.stop();
    assert_eq!(running.join(), Ended::Stopped);
    assert!(began.elapsed() < PATIENCE / 2);
    assert_eq!(world.hung_up.load(Ordering::SeqCst), 3);
    assert_eq!(world.machines.load(Ordering::SeqCst), 0);
    clients.iter_mut().for_each(|client| assert_eq!(client.rest(), ""));
    world.gate.open();
}

#[test]
fn a_panic_in_work_is_a_hang_up() {
    let running = Running::new(options(|_| {}));
    assert_eq!(running.connect().ask("panic"), "");
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
}
