// SPDX-License-Identifier: Apache-2.0
//! How long copies of a running task take until all of them answer.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::ampoule::{Guest, Home};
use crate::results::{Results, Series, Unit};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    guest: Guest,
    /// How many runs are counted for each number, after one that is not.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many copies at once; several times.
    #[arg(short, default_values_t = [1_u32, 8], value_parser = clap::value_parser!(u32).range(1..))]
    n: Vec<u32>,
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let home = Home::new()?;
    let (image, memory) = (&*options.guest.image, &*options.guest.memory);
    let mut run = vec!["run", "-d", "--image", image, "--memory", memory];
    let patience = format!("{}s", options.guest.patience);
    run.extend(["--start-timeout", &patience]);
    // A template that is made in the background would share the processor with what is measured.
    run.extend(["--cold", "--", "sleep", "1000"]);
    let task = home.said(&run, &options.guest)?;
    let title = format!("fork: copies of one running task of 1 vCPU and {memory} from {image}");
    let mut results = Results::new("fork", title);
    let mut series = Series::new("ampoule fork, whole command");
    let mut retries = options.guest.retries;
    let measured = options.n.iter().try_for_each(|n| -> Result<()> {
        let mut round = 0;
        while round <= options.runs {
            match copies(&home, &task, *n, &options.guest) {
                Ok(whole) if round > 0 => series.push(&format!("fork_{n}"), Unit::Ns, whole),
                Ok(_) => {}
                Err(error) if retries > 0 => {
                    retries -= 1;
                    eprintln!("benches: once more, since these copies failed: {error:#}");
                    continue;
                }
                Err(error) => return Err(error),
            }
            round += 1;
        }
        Ok(())
    });
    // Whatever happened: nothing stays behind.
    home.said(&["kill", &task], &options.guest)?;
    measured?;
    results.series.push(series);
    results.notes.push(
        "the command returns when every copy serves requests; each is asked for an echo after \
         that, outside the time"
            .to_owned(),
    );
    Ok(results)
}

/// Makes `n` copies, checks that each answers, and ends them; nanoseconds of the first part.
fn copies(home: &Home, task: &str, n: u32, guest: &Guest) -> Result<f64> {
    let begun = Instant::now();
    let copies = home.said(&["fork", "-n", &n.to_string(), task], guest)?;
    let whole = begun.elapsed().as_secs_f64() * 1e9;
    let mut answered = Ok(());
    for copy in copies.lines() {
        if answered.is_ok() {
            answered = home.answers(copy, guest);
        }
        home.said(&["kill", copy], guest)?;
    }
    answered?;
    ensure!(copies.lines().count() == n as usize, "not {n} copies");
    Ok(whole)
}
