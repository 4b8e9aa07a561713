//! What a gateway adds to the time of one request, and to the time until the first token of a stream.

use crate::client::{Connection, probe};
use crate::lab::{Lab, Route};
use crate::process::GATEWAY_CORE;
use crate::report::{Section, Target, median, micros, percentile};
use crate::upstream::Dialect;
use anyhow::{Context, Result};
use hyper::Method;
use std::time::{Duration, Instant};

/// Requests of one turn; short, so that the gateways take turns often.
const REQUESTS: usize = 500;
const STREAMS: usize = 200;
const EVENTS: u32 = 5;

/// What was measured on one route, in microseconds.
#[derive(Default)]
struct Lane {
    whole: Vec<f64>,
    first_token: Vec<f64>,
}

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let nginx = lab.nginx().await?;
    let bare = lab.bare().await?;
    let plugway = lab.plugway(GATEWAY_CORE).await?;
    let mut routes = vec![
        lab.direct(Dialect::OpenAi),
        lab.direct(Dialect::Anthropic),
        nginx.as_nginx(Dialect::OpenAi),
        nginx.as_nginx_unbuffered(Dialect::OpenAi),
        bare.as_bare(Dialect::OpenAi),
    ];
    if let Some(plugway) = &plugway {
        routes.push(plugway.as_plugway(Dialect::OpenAi));
        routes.push(plugway.as_plugway(Dialect::Anthropic));
    }
    lab.upstream.stream(EVENTS, 1, Duration::ZERO);
    let mut lanes = vec![];
    for route in &routes {
        probe(route, false).await?;
        probe(route, true).await?;
        let mut connection = Connection::open(route.address).await?;
        turn(route, &mut connection, &mut Lane::default()).await.context(route.name)?;
        lanes.push((route, connection, Lane::default()));
    }
    for _ in 0..lab.options.rounds * 2 {
        for (route, connection, lane) in &mut lanes {
            turn(route, connection, lane).await.context(route.name)?;
        }
    }

    let direct = |lane: usize| if routes[lane].name.contains("Anthropic") { 1 } else { 0 };
    let lanes: Vec<Lane> = lanes.into_iter().map(|(_, _, lane)| lane).collect();
    let added = |lane: usize, of: fn(&Lane) -> &Vec<f64>| median(of(&lanes[lane])) - median(of(&lanes[direct(lane)]));
    let rows = routes.iter().enumerate().map(|(at, route)| {
        let lane = &lanes[at];
        vec![
            route.name.to_owned(),
            format!("{:.0}", median(&lane.whole)),
            format!("{:.0}", percentile(&lane.whole, 0.99)),
            format!("{:.0}", added(at, |lane| &lane.whole)),
            format!("{:.0}", median(&lane.first_token)),
            format!("{:.0}", added(at, |lane| &lane.first_token)),
        ]
    });
    let mut targets = vec![];
    if plugway.is_some() {
        targets.push(Target {
            what: "added latency",
            measured: added(5, |lane| &lane.whole) / added(2, |lane| &lane.whole),
            limit: 1.25,
            unit: " × nginx's",
        });
        targets.push(Target {
            what: "time to first token added, translated",
            measured: added(6, |lane| &lane.first_token),
            limit: 200.0,
            unit: " µs",
        });
    }
    Ok(Section {
        name: "latency",
        title: "Added latency",
        note: format!(
            "One kept-alive connection, one request after the other, 1 KB each way; {} requests and {} streams a \
             route, routes in turn. \"Added\" is the median minus that of the direct route with the same upstream. \
             All in µs.",
            lanes[0].whole.len(),
            lanes[0].first_token.len()
        ),
        columns: vec!["route", "p50", "p99", "added p50", "first token p50", "added p50"],
        rows: rows.collect(),
        targets,
        others: 0.0,
    })
}

async fn turn(route: &Route, connection: &mut Connection, lane: &mut Lane) -> Result<()> {
    let body = route.body(false);
    for _ in 0..REQUESTS {
        let start = Instant::now();
        connection.send(Method::POST, route.path, body.clone()).await?;
        lane.whole.push(micros(start.elapsed()));
    }
    let body = route.body(true);
    for _ in 0..STREAMS {
        let start = Instant::now();
        let mut stream = connection.stream(route, body.clone()).await?;
        let mut first: Option<Duration> = None;
        while first.is_none() && stream.read(|_| first = first.or(Some(start.elapsed()))).await? {}
        lane.first_token.push(micros(first.context("a stream without content")?));
        stream.drain().await?;
    }
    Ok(())
}
