//! In which order runs are made: run 1 of everything before run 2 of anything, and servers of one setting
//! close to each other, so that a ratio between them is of the same minutes.

/// One run to be made, by places in the lists that the plan was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which setting.
    pub setting: usize,
    /// Which of the setting's servers.
    pub server: usize,
    /// Which run, from 1.
    pub number: u32,
}

/// All runs of settings with so many servers each. The first server of a setting is another one in each run:
/// nobody always comes after the same neighbour.
pub fn plan(servers: &[usize], runs: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    for number in 1..=runs {
        for (setting, count) in servers.iter().copied().enumerate() {
            let turn = number as usize - 1;
            steps.extend((0..count).map(|at| Step { setting, server: (at + turn) % count, number }));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_is_made_once_and_runs_do_not_mix() {
        let steps = plan(&[3, 0, 2], 4);
        assert_eq!(steps.len(), (3 + 2) * 4);
        assert!(steps.is_sorted_by_key(|step| (step.number, step.setting)));
        for (at, step) in steps.iter().enumerate() {
            assert!(!steps[..at].contains(step), "{step:?} twice");
        }
    }

    #[test]
    fn servers_take_turns_at_being_first() {
        let firsts: Vec<usize> =
            plan(&[3], 4).iter().filter(|step| step.setting == 0).step_by(3).map(|step| step.server).collect();
        assert_eq!(firsts, [0, 1, 2, 0]);
    }
}
