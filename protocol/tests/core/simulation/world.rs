//! The simulated world: callers, a server and a network, driven only by virtual time and a seed.
//!
//! Each caller makes its calls one after another, on one connection as long as it is usable and then on new ones. The server
//! has one responder per connection; its handlers and the effects of its admission step take time. The invariants are checked
//! during the run and at the end.

mod driving;

use super::caller::{Course, Plan, Step, Violation};
use super::draws::Draws;
use super::line::{Line, take, take_in};
use super::link::{Fault, Mutation, Time};
use super::listener;
use super::service::states_alive;
use super::sharing::Sharing;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::{ConnectionError, Next};

/// Maximum number of events; a world with more is in an endless loop.
const MOST_HAPPENINGS: usize = 20_000;

/// Calls at the end of a connection that shares memory. They free the regions that earlier calls left in use.
const LAST_CALLS: usize = 2;

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    ReachServer,
    ReachClient,
    HandlerDone,
    EffectDue,
    Think,
    Tear,
}

/// The time of an event with its planning order in the low bits, the caller, the connection, and the event.
type Planned = (u128, usize, usize, Happening);

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// A digest of all events, in order.
    pub digest: u64,
    pub calls: usize,
    /// Calls whose connection was lost, as reported to their callers.
    pub lost: usize,
    pub abandoned: usize,
    /// Number of injected faults that the network or the driver must not cause.
    pub mutated: usize,
    /// Effects that were completed.
    pub completed: usize,
    /// Calls that were abandoned because an effect was never completed.
    pub overdue: usize,
    /// Effects that were withdrawn.
    pub withdrawn: usize,
    /// Servers that ended with work or effects pending.
    pub ended_early: usize,
    /// Batches that either side read from shared memory.
    pub shared: usize,
    /// Events of calls that were wrong because shared memory had changed.
    pub damaged: usize,
    /// Connections whose segment was checked at the end.
    pub settled: usize,
    pub happenings: usize,
}

pub struct World {
    draws: Draws,
    now: Time,
    queue: BinaryHeap<Reverse<Planned>>,
    /// Number of planned events: at the same time, the first planned comes first.
    planned: usize,
    lines: Vec<Line>,
    next_call: i64,
    mutation: Option<Mutation>,
    /// Records of calls, and calls that ended with their server and so have no record.
    records: usize,
    unrecorded: usize,
    /// The budget of all machines.
    budget: Budget,
    summary: Summary,
    verbose: bool,
}

/// Runs the world of a seed to its end.
pub fn run(seed: u64, mutation: Option<Mutation>, verbose: bool) -> (Summary, Result<(), Violation>) {
    listener::reset();
    let mut draws = Draws::seeded(seed);
    let callers = 1 + draws.below(3);
    let mut world = World {
        draws,
        now: 0,
        queue: BinaryHeap::new(),
        planned: 0,
        lines: Vec::new(),
        next_call: 0,
        mutation,
        records: 0,
        unrecorded: 0,
        budget: Budget::new(64 << 20),
        summary: Summary { digest: 0xcbf2_9ce4_8422_2325, ..Summary::default() },
        verbose,
    };
    for index in 0..callers {
        let calls = 1 + world.draws.below(3);
        let line = world.connect(0, calls);
        world.lines.push(line);
        world.opened(index);
    }
    let result = world.live().and_then(|()| world.check_end());
    drop(world.lines);
    let used = world.budget.used();
    let result = result.and_then(|()| match states_alive() {
        0 => Ok(()),
        left => Err(format!("{left} states outlive their connections")),
    });
    let result = result.and_then(|()| match used {
        0 => Ok(()),
        used => Err(format!("{used} bytes are reserved after all connections")),
    });
    let result = result.and_then(|()| match (listener::take_violation(), listener::tally()) {
        (Some(violation), _) => Err(violation),
        (None, tally) if tally.started == tally.ended => Ok(()),
        (None, tally) => Err(format!("calls that start do not end: {tally:?}")),
    });
    (world.summary, result)
}

impl World {
    fn connect(&mut self, generation: usize, calls: usize) -> Line {
        // Anything detected must be due to the mutation.
        let fault = if self.mutation.is_some() { Fault::None } else { Fault::draw(&mut self.draws) };
        let sharing = if self.mutation.is_some() { None } else { Sharing::draw(&mut self.draws) };
        Line::new(generation, calls, fault, generation as u64, &self.budget, sharing)
    }

    fn opened(&mut self, index: usize) {
        if let Fault::Reset { at } = self.lines[index].fault {
            self.at(self.now + at, index, Happening::Tear);
        }
        self.at(self.now, index, Happening::Think);
    }

    fn at(&mut self, time: Time, index: usize, happening: Happening) {
        self.planned += 1;
        let generation = self.lines[index].generation;
        let order = u128::from(time) << 64 | self.planned as u128;
        self.queue.push(Reverse((order, index, generation, happening)));
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        let line = what();
        if self.verbose {
            println!("{:>8} {line}", self.now);
        }
        self.mix(self.now);
        let (words, rest) = line.as_bytes().as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.mix(u64::from(*byte));
        }
    }

    /// Records the most frequent notes, without formatting them unless they are printed.
    fn note_happening(&mut self, index: usize, generation: usize, happening: Happening) {
        if self.verbose {
            println!("{:>8} caller {index}.{generation}: {happening:?}", self.now);
        }
        self.mix(self.now);
        self.mix((index << 32 | generation << 8 | happening as usize) as u64);
    }

    /// One step of FNV-1a, for eight bytes at a time.
    fn mix(&mut self, word: u64) {
        self.summary.digest = (self.summary.digest ^ word).wrapping_mul(0x0100_0000_01b3);
    }

    fn live(&mut self) -> Result<(), Violation> {
        while let Some(Reverse((order, index, generation, happening))) = self.queue.pop() {
            let time = (order >> 64) as Time;
            self.now = time;
            self.summary.happenings += 1;
            if self.summary.happenings > MOST_HAPPENINGS {
                return Err("the run does not end".into());
            }
            if self.lines[index].generation != generation {
                continue;
            }
            self.note_happening(index, generation, happening);
            match happening {
                Happening::ReachServer => self.reach_server(index),
                Happening::ReachClient => self.reach_client(index)?,
                Happening::HandlerDone => self.handler_done(index)?,
                Happening::EffectDue => self.effect_due(index)?,
                Happening::Think => self.think(index)?,
                Happening::Tear => {
                    let mut arrivals = Vec::new();
                    let line = &mut self.lines[index];
                    line.up.tear(time, &mut arrivals);
                    line.down.tear(time, &mut arrivals);
                    self.at(time, index, Happening::ReachServer);
                    self.at(time, index, Happening::ReachClient);
                }
            }
            self.serve(index)?;
            if let Some(violation) = listener::take_violation() {
                return Err(violation);
            }
            self.reconnect(index);
        }
        Ok(())
    }

    fn reach_server(&mut self, index: usize) {
        let line = &mut self.lines[index];
        while let Some(piece) = line.up.arrived(self.now) {
            match (piece, &mut line.server) {
                (Some(bytes), Some(server)) => {
                    let by_read = self.draws.once_in(2);
                    take_in(server, bytes, by_read);
                }
                (None, Some(server)) => {
                    server.receive_eof();
                    line.server_eof = true;
                }
                (_, None) => {}
            }
        }
    }

    /// Lets the server act: hand out work, send, or disconnect.
    fn serve(&mut self, index: usize) -> Result<(), Violation> {
        let line = &mut self.lines[index];
        let Some(server) = &mut line.server else { return Ok(()) };
        let (mut arrivals, mut due) = (Vec::new(), Vec::new());
        let next = server.poll_work();
        let withdrawn =
            line.effects.take_up(server, self.now, &mut self.draws, &mut due, line.sharing.as_ref())?;
        self.summary.withdrawn += withdrawn;
        while server.poll_record().is_some() {
            if self.mutation == Some(Mutation::LoseRecord) && self.summary.mutated == 0 {
                self.summary.mutated += 1;
            } else {
                self.records += 1;
            }
        }
        if let Some(outbox) = server.poll_transmit() {
            line.down.send(take(outbox), self.now, &mut self.draws, &mut arrivals);
        }
        let mut handler = false;
        match next {
            Ok(Next::Event(work)) => {
                if line.work.replace(work).is_some() {
                    return Err("two invocations are pending at once".into());
                }
                handler = true;
            }
            Ok(Next::NeedCommand) if line.work.is_none() => {
                return Err("the server waits for work that is not pending".into());
            }
            Ok(Next::Waiting) if line.effects.is_empty() => {
                return Err("the server waits for an effect that is not pending".into());
            }
            Ok(Next::NeedInput | Next::NeedCommand | Next::NeedDrain | Next::Waiting) => {}
            Ok(Next::Closed) | Err(_) if line.server_eof => {
                let lawful = line.fault != Fault::None || line.abandoned || matches!(next, Ok(Next::Closed));
                let idle = server.is_idle();
                if !lawful || (matches!(next, Ok(Next::Closed)) && !idle) {
                    return Err(format!("the server ends with {next:?}, idle: {idle}"));
                }
                line.server = None;
                line.down.end(self.now, &mut self.draws, &mut arrivals);
            }
            other => return Err(format!("the server fails without cause: {other:?}")),
        }
        if handler {
            let delay = self.draws.pick(&[0, 0, 20, 2000]);
            self.at(self.now + delay, index, Happening::HandlerDone);
        }
        for time in arrivals {
            self.at(time, index, Happening::ReachClient);
        }
        for time in due {
            self.at(time, index, Happening::EffectDue);
        }
        self.end_early(index)?;
        self.check_records()
    }

    fn handler_done(&mut self, index: usize) -> Result<(), Violation> {
        let line = &mut self.lines[index];
        let Some(work) = line.work.take() else { return Ok(()) };
        if self.mutation == Some(Mutation::Leak) && self.summary.mutated == 0 && states_alive() > 0 {
            self.summary.mutated += 1;
            std::mem::forget(work);
            return Ok(());
        }
        let Some(server) = &mut line.server else {
            drop(work.run());
            return if line.is_decided { Ok(()) } else { Err("work of a server that has ended".into()) };
        };
        server.complete(work.run()).map_err(|error| format!("a server refuses its own work: {error}"))
    }

    fn reach_client(&mut self, index: usize) -> Result<(), Violation> {
        let line = &mut self.lines[index];
        while let Some(piece) = line.down.arrived(self.now) {
            match piece {
                Some(bytes) => line.client.receive(bytes),
                None => line.client.receive_eof(),
            }
        }
        if !self.lines[index].client_over {
            self.listen(index)?;
        }
        Ok(())
    }

    /// Reads all pending events, and checks each against the current call.
    fn listen(&mut self, index: usize) -> Result<(), Violation> {
        loop {
            match self.lines[index].client.poll_event() {
                Ok(Next::Event(event)) => {
                    self.note(|| format!("caller {index} is told {event:?}"));
                    let line = &mut self.lines[index];
                    let Some(course) = &mut line.course else {
                        return Err(format!("caller {index} makes no call, but gets {event:?}"));
                    };
                    let is_noisy = line.sharing.as_ref().is_some_and(|sharing| sharing.is_noisy);
                    let cut_off = line.server_eof && line.fault != Fault::None;
                    match course.told(&event) {
                        Ok(true) => {
                            line.course = None;
                            self.at(self.now, index, Happening::Think);
                        }
                        Ok(false) => {}
                        Err(_) if is_noisy && course.may_come_of_noise(&event) => {
                            self.summary.damaged += 1;
                            if let Event::Finished = event {
                                line.course = None;
                                self.at(self.now, index, Happening::Think);
                            }
                        }
                        // The server treats what it received as the complete input, and answers it.
                        Err(_) if cut_off && course.may_answer_a_part(&event) => {
                            line.course = None;
                            self.summary.lost += 1;
                            self.leave(index);
                            return Ok(());
                        }
                        Err(violation) => return Err(violation),
                    }
                }
                Ok(Next::NeedInput) => return Ok(()),
                Ok(Next::NeedCommand) => {
                    self.at(self.now, index, Happening::Think);
                    return Ok(());
                }
                Ok(Next::Closed) => return self.hung_up(index, None),
                Ok(Next::NeedDrain | Next::Waiting) => {
                    return Err("a client withholds events".into());
                }
                Err(error) => return self.hung_up(index, Some(error)),
            }
        }
    }

    /// Ends the caller's use of a connection that has closed or failed.
    fn hung_up(&mut self, index: usize, error: Option<ConnectionError>) -> Result<(), Violation> {
        self.note(|| format!("caller {index} loses its connection: {error:?}"));
        let line = &mut self.lines[index];
        if line.fault == Fault::None && !line.abandoned {
            return Err(format!("caller {index} loses a working connection: {error:?}"));
        }
        // If a server gets a part of the input of a stream that it has refused, it treats it as part of another call.
        let answers_a_part = line.server_eof
            && matches!(line.fault, Fault::Truncate { up: true, .. })
            && matches!(error, Some(ConnectionError::Protocol { .. }));
        if error.is_none() != line.course.is_none() && !(answers_a_part && line.course.is_none()) {
            return Err(format!("a call is in progress: {}, error {error:?}", line.course.is_some()));
        }
        self.summary.lost += usize::from(line.course.take().is_some());
        self.leave(index);
        Ok(())
    }

    /// Closes the caller's side. It reads no more events.
    fn leave(&mut self, index: usize) {
        let mut arrivals = Vec::new();
        let line = &mut self.lines[index];
        line.client_over = true;
        line.up.end(self.now, &mut self.draws, &mut arrivals);
        for time in arrivals {
            self.at(time, index, Happening::ReachServer);
        }
    }

    fn think(&mut self, index: usize) -> Result<(), Violation> {
        let line = &mut self.lines[index];
        if line.client_over {
            return Ok(());
        }
        let step = match &mut line.course {
            Some(course) => course.step(&mut line.client, &mut self.draws)?,
            None if !line.client.is_idle() => Step::Wait,
            None if line.calls_left == 0 => {
                if let Some(sharing) = &line.sharing {
                    sharing.check_end()?;
                    self.summary.settled += usize::from(!sharing.is_noisy);
                    self.summary.shared +=
                        sharing.counts().map(|counts| counts.read as usize).iter().sum::<usize>();
                }
                self.send(index);
                self.leave(index);
                return Ok(());
            }
            None => {
                line.calls_left -= 1;
                self.next_call += 1;
                self.summary.calls += 1;
                let mut plan = Plan::draw(self.next_call, &mut self.draws);
                if let Some(sharing) = &line.sharing {
                    plan = plan.sharing(sharing.is_noisy, line.calls_left < LAST_CALLS);
                }
                let begun = Course::begin(plan, &mut line.client);
                line.course = Some(begun.map_err(|error| format!("an idle client refuses a call: {error}"))?);
                Step::Issued
            }
        };
        match step {
            Step::Wait => {}
            Step::Issued => {
                let pause = self.draws.pick(&[0, 10, 500]);
                self.at(self.now + pause, index, Happening::Think);
            }
            Step::Abandon => {
                let line = &mut self.lines[index];
                line.abandoned = true;
                line.course = None;
                self.summary.abandoned += 1;
            }
        }
        self.send(index);
        if self.lines[index].abandoned {
            self.leave(index);
        }
        Ok(())
    }

    fn send(&mut self, index: usize) {
        let mut arrivals = Vec::new();
        let line = &mut self.lines[index];
        if let Some(outbox) = line.client.poll_transmit() {
            line.up.send(take(outbox), self.now, &mut self.draws, &mut arrivals);
        }
        for time in arrivals {
            self.at(time, index, Happening::ReachServer);
        }
        self.mutate(index);
    }

    /// Injects the network's fault, once per run.
    fn mutate(&mut self, index: usize) {
        let due = |mutation: &Mutation| mutation.is_of_network() && self.summary.mutated == 0;
        let Some(mutation) = self.mutation.filter(due) else { return };
        // Pieces to misdeliver are rare.
        if !self.draws.once_in(4) && mutation != Mutation::Misdeliver {
            return;
        }
        let (up, other) = (self.draws.once_in(2), (index + 1) % self.lines.len());
        let line = &mut self.lines[index];
        if mutation != Mutation::Misdeliver {
            let direction = if up { &mut line.up } else { &mut line.down };
            self.summary.mutated += usize::from(direction.mutate(mutation));
        } else if other != index
            && let Some(bytes) = line.down.steal()
        {
            self.lines[other].down.inject(bytes, self.now);
            self.at(self.now, other, Happening::ReachClient);
            self.summary.mutated += 1;
        }
    }

    /// Opens a new connection for a caller with calls to make, once both sides of the old one are gone.
    fn reconnect(&mut self, index: usize) {
        let line = &self.lines[index];
        if !line.client_over || line.server.is_some() || line.calls_left == 0 {
            return;
        }
        let (generation, calls) = (line.generation + 1, line.calls_left);
        self.lines[index] = self.connect(generation, calls);
        self.opened(index);
    }

    /// Checks, when no events are left, that everything is done.
    fn check_end(&self) -> Result<(), Violation> {
        for (index, line) in self.lines.iter().enumerate() {
            if let Some(course) = &line.course {
                return Err(format!("caller {index} waits forever: {:?}", course.plan));
            }
            if line.calls_left > 0 || !line.client_over || line.server.is_some() || line.work.is_some() {
                return Err(format!("caller {index} is stuck with {} calls to make", line.calls_left));
            }
        }
        match states_alive() {
            0 => Ok(()),
            left => Err(format!("{left} states remain at the end")),
        }
    }
}
