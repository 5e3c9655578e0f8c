//! Measures everything and prints one table of it: `cargo run --profile dist -p gatewright-benches --bin report -- --help`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use gatewright_benches::contender::{Contender, Visit, visit_all};
use gatewright_benches::engine::Engine;
use gatewright_benches::floor::Floor;
use gatewright_benches::machine::{machine, pin};
use gatewright_benches::measure::{Effort, Question, measure};
use gatewright_benches::results::{Results, Row};
use gatewright_benches::tables::markdown;
use gatewright_conformance::sets;

const HELP: &str = "\
Usage: report [--quick] [--write] [--set NAME] [--n RULES] [--only CONTENDER] [--json FILE] [--without-junction]

  --quick             few rounds, no set of more than 1,000 rules: to see that everything runs
  --write             writes benches/RESULTS.md and benches/results.json instead of printing
  --set NAME          this set only
  --n RULES           with this many rules only
  --only CONTENDER    contenders only whose name has this in it
  --json FILE         a set with expected answers in the JSON form that conformance/src/sets/json.rs reads, instead of the built-in ones
  --without-junction  leaves out junction-core, which is built first if it is not";

/// Above it, on the standard set, only the engine is measured, for its memory.
const STANDARD_TO: usize = 100_000;
/// Above it, on the other sets, only the engine and the floor are: the peers would take most of the time.
const PEERS_TO: usize = 1_000;

/// The sets with the numbers of rules for which they are measured.
fn plan() -> Vec<(&'static str, Vec<usize>)> {
    let rules = |name| match name {
        "standard" => vec![10, 100, 1_000, 10_000, 100_000, 1_000_000],
        // Each automaton is kept whole, as in the engine: more of them would be a measurement of memory.
        "regex_paths" => vec![1_000],
        "single_route_hosts" => vec![1_000, 100_000],
        _ => vec![1_000, 10_000],
    };
    sets::names().map(|name| (name, rules(name))).collect()
}

#[derive(Default)]
struct Arguments {
    quick: bool,
    write: bool,
    set: Option<String>,
    rules: Option<usize>,
    only: Option<String>,
    json: Option<PathBuf>,
    without_junction: bool,
    /// One row in this process: what the others are started with.
    measure: Option<String>,
}

fn main() -> ExitCode {
    let result = arguments().and_then(|arguments| match &arguments.measure {
        Some(name) => child(&arguments, name),
        None => report(&arguments),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut all = std::env::args().skip(1);
    while let Some(flag) = all.next() {
        let mut value = || all.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--quick" => arguments.quick = true,
            "--write" => arguments.write = true,
            "--set" => arguments.set = Some(value()?),
            "--n" => arguments.rules = Some(value()?.parse().map_err(|_| "--n needs a number")?),
            "--only" => arguments.only = Some(value()?),
            "--json" => arguments.json = Some(value()?.into()),
            "--without-junction" => arguments.without_junction = true,
            "--measure" => arguments.measure = Some(value()?),
            _ => return Err(HELP.to_owned()),
        }
    }
    Ok(arguments)
}

/// Measures all, each row in a process of its own, so that no heap and no cache is another one's.
fn report(arguments: &Arguments) -> Result<(), String> {
    let mut results = Results { machine: machine(), rows: Vec::new() };
    let mut contenders = Names::default();
    visit_all(&mut contenders);
    let mut contenders = contenders.0;
    // The file is another reader's than the junction program's.
    let junction = if arguments.without_junction || arguments.json.is_some() { None } else { junction(&mut contenders) };
    let plan = match &arguments.json {
        Some(_) => vec![("json", vec![0])],
        None => plan(),
    };
    for (set, all) in plan {
        if arguments.set.as_deref().is_some_and(|only| only != set) {
            continue;
        }
        let quick = all.iter().copied().filter(|rules| !arguments.quick || *rules <= 1_000);
        for rules in arguments.rules.map_or_else(|| quick.collect(), |rules| vec![rules]) {
            for contender in &contenders {
                let Known { name, most, .. } = contender;
                let skipped = match set {
                    "standard" => rules > STANDARD_TO && *name != Engine::<true>::NAME,
                    _ => rules > PEERS_TO && !OWN.contains(&name.as_str()),
                };
                if skipped || rules > *most || arguments.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
                    continue;
                }
                let mut command = match &junction {
                    Some(path) if name == JUNCTION => junction_row(path, set, rules, arguments.quick),
                    _ => own_row(arguments, name, set, rules)?,
                };
                eprintln!("{name} on {set}, {rules} rules");
                match row(&mut command) {
                    Ok(row) => results.rows.push(row),
                    Err(error) => eprintln!("  left out: {error}"),
                }
            }
        }
    }
    let lacks: Vec<_> = contenders.into_iter().map(|contender| (contender.name, contender.lacks)).collect();
    let text = markdown(&results, &lacks);
    if arguments.write {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let json = serde_json::to_string_pretty(&results).map_err(|error| error.to_string())? + "\n";
        std::fs::write(folder.join("RESULTS.md"), text).map_err(|error| error.to_string())?;
        std::fs::write(folder.join("results.json"), json).map_err(|error| error.to_string())?;
    } else {
        println!("{text}");
    }
    Ok(())
}

/// What is known of a contender without measuring it.
struct Known {
    name: String,
    lacks: String,
    most: usize,
}

#[derive(Default)]
struct Names(Vec<Known>);

impl Visit for Names {
    fn visit<C: Contender>(&mut self) {
        self.0.push(Known { name: C::NAME.into(), lacks: C::LACKS.into(), most: C::MOST_RULES });
    }
}

const OWN: [&str; 3] = [Engine::<true>::NAME, Engine::<false>::NAME, Floor::NAME];
const JUNCTION: &str = "junction-core";

/// Builds the program that measures junction-core.
fn junction(contenders: &mut Vec<Known>) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("junction");
    let built = Command::new("cargo").args(["build", "--release", "--locked", "--target-dir", "target"]).current_dir(&folder).status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("{JUNCTION} cannot be built and is left out");
        return None;
    }
    let path = folder.join("target/release/gatewright-benches-junction");
    let described = Command::new(&path).output().ok()?;
    let text = String::from_utf8_lossy(&described.stderr).into_owned();
    let lacks = text.lines().nth(1).unwrap_or_default().to_owned();
    contenders.push(Known { name: JUNCTION.into(), lacks, most: STANDARD_TO });
    Some(path)
}

fn junction_row(path: &Path, set: &str, rules: usize, quick: bool) -> Command {
    let mut command = Command::new(path);
    command.args([set, &rules.to_string(), if quick { "quick" } else { "full" }]);
    command
}

fn own_row(arguments: &Arguments, name: &str, set: &str, rules: usize) -> Result<Command, String> {
    let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    command.args(["--measure", name, "--set", set, "--n", &rules.to_string()]);
    if arguments.quick {
        command.arg("--quick");
    }
    if let Some(json) = &arguments.json {
        command.arg("--json").arg(json);
    }
    Ok(command)
}

fn row(command: &mut Command) -> Result<Row, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// One row.
fn child(arguments: &Arguments, name: &str) -> Result<(), String> {
    let question = match &arguments.json {
        Some(path) => {
            let (set, expected) = sets::from_json(path)?;
            let expected = expected.into_iter().map(|id| id.and_then(|id| u32::try_from(id).ok())).collect();
            Question { set, expected }
        }
        None => Question::of(arguments.set.as_deref().unwrap_or("standard"), arguments.rules.unwrap_or(1_000)).ok_or("no such set")?,
    };
    pin();
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let mut one = One { name, question: &question, effort, row: None };
    visit_all(&mut one);
    let row = one.row.ok_or("no such contender")?;
    println!("{}", serde_json::to_string(&row).map_err(|error| error.to_string())?);
    Ok(())
}

struct One<'a> {
    name: &'a str,
    question: &'a Question,
    effort: Effort,
    row: Option<Row>,
}

impl Visit for One<'_> {
    fn visit<C: Contender>(&mut self) {
        if self.name == C::NAME {
            self.row = Some(measure::<C>(self.question, self.effort));
        }
    }
}
