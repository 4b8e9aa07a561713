//! From a plugin's file to its new version serving, with a caller that must not notice.

use crate::client::{Connection, probe};
use crate::lab::{Gateway, Lab, Route};
use crate::plugway::DEBOUNCE;
use crate::process::all_cores;
use crate::report::{Section, Target, median, millis};
use crate::upstream::Dialect;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const PLUGIN: &str = "provider-openai.wasm";

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let (mut compiled, mut cached) = (vec![], vec![]);
    if let Some(plugway) = lab.plugway(&all_cores()).await? {
        let route = plugway.as_plugway(Dialect::OpenAi);
        probe(&route, false).await?;
        let original = fs::read(lab.plugins().join(PLUGIN)).context(PLUGIN)?;
        for round in 0..lab.options.rounds {
            let next = variant(&original, round as u8);
            compiled.push(swap(lab, &plugway, &route, &next).await?);
            cached.push(swap(lab, &plugway, &route, &original).await?);
        }
    }
    let mut rows = vec![];
    let mut targets = vec![];
    for (what, limit, times) in
        [("new, to be compiled", 500.0, &compiled), ("seen before, compiled artifact cached", 20.0, &cached)]
    {
        if !times.is_empty() {
            let worst = times.iter().copied().fold(0.0, f64::max);
            rows.push(vec![what.to_owned(), format!("{:.1}", median(times)), format!("{worst:.1}")]);
            targets.push(Target { what, measured: median(times), limit, unit: " ms" });
        }
    }
    Ok(Section {
        name: "reload",
        title: "Reload",
        note: format!(
            "From renaming `{PLUGIN}` into the folder to the new file's digest serving, minus the {} ms for which the \
             folder must be quiet. A caller sends one request after the other meanwhile, and none may fail.",
            DEBOUNCE.as_millis()
        ),
        columns: vec!["file", "median ms", "worst ms"],
        rows,
        targets,
        others: 0.0,
    })
}

/// The same plugin with another digest: a custom section that says nothing is put at its end.
fn variant(component: &[u8], number: u8) -> Vec<u8> {
    const NAME: &[u8] = b"plugway-bench";
    let mut bytes = component.to_vec();
    bytes.extend_from_slice(&[0, NAME.len() as u8 + 2, NAME.len() as u8]);
    bytes.extend_from_slice(NAME);
    bytes.push(number);
    bytes
}

/// Puts the file in place and gives the milliseconds until it serves, without the debounce.
async fn swap(lab: &Lab, plugway: &Gateway, route: &Route, file: &[u8]) -> Result<f64> {
    let digest = Sha256::digest(file).iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    replace(lab, file)?;
    let start = Instant::now();
    let mut control = Connection::open(plugway.address).await?;
    let mut caller = Connection::open(plugway.address).await?;
    loop {
        let plugins = control.send(Method::GET, "/api/plugins", Bytes::new()).await?;
        if String::from_utf8_lossy(&plugins).contains(&digest) {
            return Ok(millis(start.elapsed().saturating_sub(DEBOUNCE)));
        }
        let answer = caller.send(Method::POST, route.path, route.body(false)).await;
        answer.context("a request failed while the plugin was being swapped")?;
        ensure!(start.elapsed() < Duration::from_secs(30), "not swapped:\n{}", plugway.process.last_words());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Written beside the folder and moved in, so that no half of it is ever there.
fn replace(lab: &Lab, file: &[u8]) -> Result<()> {
    let (new, place) = (lab.file("new.wasm"), lab.plugins().join(PLUGIN));
    fs::write(&new, file)?;
    fs::rename(&new, Path::new(&place))?;
    Ok(())
}
