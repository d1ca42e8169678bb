//! Further tasks of a simulated server's driver: it completes effects, and ends servers whose peers have disconnected.

use super::{Happening, World};
use crate::simulation::caller::Violation;
use crate::simulation::effects::Performed;
use crate::simulation::link::{Fault, Mutation};
use crate::simulation::listener;

impl World {
    /// A driver that learns that its peer is gone may end the current call, or drop the server as it is.
    pub(super) fn end_early(&mut self, index: usize) -> Result<(), Violation> {
        let line = &mut self.lines[index];
        let is_gone = line.server_eof && (line.fault != Fault::None || line.abandoned);
        if !is_gone || line.is_decided || (line.work.is_none() && line.effects.is_empty()) {
            return Ok(());
        }
        line.is_decided = true;
        let hangs_up = match self.draws.below(3) {
            0 => return Ok(()),
            1 => false,
            _ => true,
        };
        let Some(mut server) = line.server.take() else { return Ok(()) };
        let before = listener::tally().ended;
        if hangs_up {
            server.hang_up();
            while server.poll_record().is_some() {
                self.records += 1;
            }
            self.summary.withdrawn +=
                line.effects.take_up(&mut server, self.now, &mut self.draws, &mut Vec::new(), None)?;
            if !line.effects.is_empty() {
                return Err("an effect of a call that has ended is not withdrawn".into());
            }
        }
        let ended = listener::tally().ended;
        drop(server);
        self.unrecorded += listener::tally().ended - if hangs_up { ended } else { before };
        line.effects.clear();
        if self.draws.once_in(2) {
            line.work = None;
        }
        self.summary.ended_early += 1;
        let mut arrivals = Vec::new();
        line.down.end(self.now, &mut self.draws, &mut arrivals);
        for time in arrivals {
            self.at(time, index, Happening::ReachClient);
        }
        self.note(|| format!("the server of caller {index} ends early, hangs up: {hangs_up}"));
        Ok(())
    }

    /// Checks that each ended call has one record, and that there are no others.
    pub(super) fn check_records(&self) -> Result<(), Violation> {
        let (ended, records) = (listener::tally().ended, self.records);
        if ended == records + self.unrecorded {
            return Ok(());
        }
        Err(format!("{ended} calls have ended, {records} have a record, {} have none", self.unrecorded))
    }

    pub(super) fn effect_due(&mut self, index: usize) -> Result<(), Violation> {
        if self.mutation.is_some_and(|mutation| !mutation.is_of_network()) && self.summary.mutated == 0 {
            self.mutate_effect(index)?;
        }
        let line = &mut self.lines[index];
        let Some(server) = &mut line.server else { return Ok(()) };
        let performed = line.effects.perform(server, self.now, &mut self.draws)?;
        match performed {
            Performed::Nothing => {}
            Performed::Partly(due) => self.at(due, index, Happening::EffectDue),
            Performed::Completed => self.summary.completed += 1,
            Performed::Overdue => self.summary.overdue += 1,
        }
        self.note(|| format!("an effect of caller {index}: {performed:?}"));
        Ok(())
    }

    /// Injects the driver's fault.
    fn mutate_effect(&mut self, index: usize) -> Result<(), Violation> {
        let line = &mut self.lines[index];
        match self.mutation {
            Some(Mutation::LoseData) => self.summary.mutated += usize::from(line.effects.lose_data()),
            Some(Mutation::LoseCompletion) => {
                self.summary.mutated += usize::from(line.effects.lose_completion(self.now));
            }
            Some(Mutation::CompleteAnother) => {
                let Some(completion) = line.effects.any_completion() else { return Ok(()) };
                let others = 0..self.lines.len();
                for other in others.filter(|other| *other != index) {
                    let line = &mut self.lines[other];
                    if let (Some(id), Some(server)) = (line.effects.any(), &mut line.server) {
                        server.complete_effect(id, completion);
                        self.summary.mutated += 1;
                        return self.serve(other);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
