//! `schism images`: which images the targets have for clusters in Docker, and building them where no registry answers.

use schism_engine::backend::docker::{self, Engine};

use crate::args::{self, ImagesCommand};
use crate::failure::{Exit, Failure};

/// Lists or builds.
pub fn run(args: &args::Images) -> Result<Exit, Failure> {
    match &args.what {
        ImagesCommand::List => list(),
        ImagesCommand::Build { target } => build(target),
    }
}

fn list() -> Result<Exit, Failure> {
    let engine = Engine::connect()?;
    for target in schism_targets::all() {
        let Some(image) = target.image() else { continue };
        let Some(store) = image.store else {
            println!("{:<8}made of this program when a run needs it", target.name());
            continue;
        };
        let built = docker::built_tag(target.name());
        for (choice, reference) in [("official", store.official), ("debian", &built)] {
            let here = if docker::at_hand(&engine, reference)?.is_some() { "at hand" } else { "not here" };
            println!("{:<8}{choice:<10}{reference:<36}{here}", target.name());
        }
    }
    Ok(Exit::Valid)
}

fn build(name: &str) -> Result<Exit, Failure> {
    let images =
        || schism_targets::all().into_iter().filter(|one| one.image().is_some_and(|i| i.store.is_some()));
    let store = images().find(|one| one.name() == name).and_then(|one| one.image()?.store);
    let Some(store) = store else {
        let known: Vec<_> = images().map(|one| one.name()).collect();
        return Err(Failure::usage(
            format!("there is no image to build for {name:?}"),
            format!("there is one for: {}", known.join(", ")),
        ));
    };
    let engine = Engine::connect()?;
    let image = docker::build(&engine, name, store.dockerfile, &mut |line| eprintln!("  {line}"))?;
    println!("built {} {}", image.reference, image.id);
    println!("runs use it with `--set target.image=debian`, or if no official image is at hand");
    Ok(Exit::Valid)
}
