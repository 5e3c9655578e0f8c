//! Draws `benches/decide.svg` from `benches/results.json`: the mean time of a decision against the number of rules, for the
//! engine, the floor and the peers.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use gatewright_benches::results::{Results, Row};

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let drawn = std::fs::read_to_string(folder.join("results.json"))
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str::<Results>(&text).map_err(|error| error.to_string()))
        .and_then(|results| draw(&results))
        .and_then(|svg| std::fs::write(folder.join("decide.svg"), svg).map_err(|error| error.to_string()));
    match drawn {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches/results.json: {error}; `report --write` makes it");
            ExitCode::FAILURE
        }
    }
}

const WIDTH: f64 = 840.0;
const HEIGHT: f64 = 500.0;
/// The area of the lines: left, top, right, bottom.
const AREA: [f64; 4] = [76.0, 78.0, 620.0, 440.0];
/// A label at the end of a line needs that much.
const LABEL: f64 = 18.0;

/// How a line looks: what is ours is thick, the floor dotted; the others are told apart by their labels and colours.
struct Style {
    contender: &'static str,
    label: &'static str,
    class: &'static str,
    /// On a light page and on a dark one, each with a contrast of at least 4.5 to it.
    colours: [&'static str; 2],
}

const STYLES: [Style; 9] = [
    Style { contender: "gatewright (Strict)", label: "Gatewright, Strict", class: "strict", colours: ["#0b5cad", "#6cb6ff"] },
    Style { contender: "gatewright (Compatible)", label: "Gatewright, Compatible", class: "compatible", colours: ["#0b5cad", "#6cb6ff"] },
    Style { contender: "floor", label: "floor", class: "floor", colours: ["#57606a", "#9aa4ae"] },
    Style { contender: "matchit", label: "matchit (paths only)", class: "matchit", colours: ["#0a7a4b", "#56d39a"] },
    Style { contender: "wayfind", label: "wayfind (paths only)", class: "wayfind", colours: ["#8a5a00", "#e0a84a"] },
    Style { contender: "path-tree", label: "path-tree (paths only)", class: "tree", colours: ["#8250df", "#c4a2ff"] },
    Style { contender: "RegexSet", label: "RegexSet", class: "regex", colours: ["#b3261e", "#ff8a80"] },
    Style { contender: "junction-core", label: "junction-core", class: "junction", colours: ["#a0368a", "#f092dd"] },
    Style { contender: "atc-router", label: "atc-router", class: "atc", colours: ["#5c5c00", "#cfcf58"] },
];

/// What does not depend on the page.
const SHEET: &str = "\
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif }
.title { font-size: 17px; font-weight: 600 }
path { fill: none } .line { stroke-width: 1.75 } .lead { stroke-width: .75; opacity: .6 }
.line.strict { stroke-width: 3.5 } .line.compatible { stroke-width: 2; stroke-dasharray: 7 3 }
.line.floor { stroke-width: 2.5; stroke-dasharray: 2 4 }
text.strict, text.compatible { font-weight: 600 }
text.end { paint-order: stroke; stroke-width: 4px; stroke-linejoin: round }
";

/// The colours of a light page (0) or a dark one (1). The picture brings its page along: who shows it may not know which it is.
fn colours(page: usize) -> String {
    let [back, text, grid] = [["#ffffff", "#24292f", "#d0d7de"], ["#0d1117", "#e6edf3", "#30363d"]][page];
    let mut sheet = format!("rect {{ fill: {back} }} text {{ fill: {text} }} text.end {{ stroke: {back} }} .grid {{ stroke: {grid} }}\n");
    for Style { class, colours, .. } in &STYLES {
        let colour = colours[page];
        let _ = writeln!(sheet, "path.{class} {{ stroke: {colour} }} circle.{class}, text.{class} {{ fill: {colour} }}");
    }
    sheet
}

fn draw(results: &Results) -> Result<String, String> {
    let of = |style: &Style| {
        let rows = results.rows.iter().filter(|row| row.set == "standard" && row.contender == style.contender);
        let mut points: Vec<&Row> = rows.collect();
        points.sort_by_key(|row| row.rules);
        points
    };
    let lines: Vec<(&Style, Vec<&Row>)> = STYLES.iter().map(|style| (style, of(style))).filter(|(_, points)| points.len() > 1).collect();
    // What only the engine is measured with is left out.
    let most = lines.iter().filter(|(style, _)| style.contender == "floor").flat_map(|(_, points)| points).map(|row| row.rules).max();
    let most = most.ok_or("the floor was not measured on the standard set")?;
    let all = || lines.iter().flat_map(|(_, points)| points).filter(|row| row.rules <= most);
    let least = all().map(|row| row.rules).min().ok_or("nothing was measured")?;
    let scale = Scale {
        rules: (decade(least as f64, f64::floor), decade(most as f64, f64::ceil)),
        time: (
            decade(all().map(|row| row.mean).fold(f64::MAX, f64::min), f64::floor),
            decade(all().map(|row| row.mean).fold(0.0, f64::max), f64::ceil),
        ),
    };

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"title\">\n"
    );
    let _ = writeln!(svg, "<title id=\"title\">{}</title>", description(&lines, most));
    let _ = writeln!(svg, "<style>\n{SHEET}{}@media (prefers-color-scheme: dark) {{\n{}}}\n</style>", colours(0), colours(1));
    let _ = writeln!(svg, "<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>");
    grid(&mut svg, &scale);
    for (style, points) in &lines {
        line(&mut svg, &scale, style, points.iter().copied().filter(|row| row.rules <= most));
    }
    labels(&mut svg, &scale, &lines, most);
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Powers of ten from the one to the other.
struct Scale {
    rules: (i32, i32),
    time: (i32, i32),
}

impl Scale {
    fn x(&self, rules: f64) -> f64 {
        AREA[0] + (AREA[2] - AREA[0]) * (rules.log10() - f64::from(self.rules.0)) / f64::from((self.rules.1 - self.rules.0).max(1))
    }

    fn y(&self, time: f64) -> f64 {
        AREA[3] - (AREA[3] - AREA[1]) * (time.log10() - f64::from(self.time.0)) / f64::from((self.time.1 - self.time.0).max(1))
    }
}

fn decade(value: f64, round: fn(f64) -> f64) -> i32 {
    round(value.log10()) as i32
}

/// The picture in words.
fn description(lines: &[(&Style, Vec<&Row>)], most: usize) -> String {
    let last = |(style, points): &(&Style, Vec<&Row>)| {
        let row = points.iter().rfind(|row| row.rules <= most)?;
        Some(format!("{} {} at {} rules", style.label, time(row.mean), count(row.rules as f64)))
    };
    let all: Vec<String> = lines.iter().filter_map(last).collect();
    format!("Time of one decision against the number of rules: {}", all.join("; "))
}

fn grid(svg: &mut String, scale: &Scale) {
    let _ = writeln!(svg, "<text class=\"title\" x=\"20\" y=\"28\">Time of one decision, by number of rules</text>");
    let _ = writeln!(svg, "<text x=\"20\" y=\"50\">Mean over shuffled requests; both axes logarithmic; lower is better</text>");
    for power in scale.time.0..=scale.time.1 {
        let y = scale.y(10_f64.powi(power));
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{} {y:.1}H{}\"/>", AREA[0], AREA[2]);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", AREA[0] - 8.0, y + 4.5, time(10_f64.powi(power)));
    }
    for power in scale.rules.0..=scale.rules.1 {
        let x = scale.x(10_f64.powi(power));
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {}V{}\"/>", AREA[3], AREA[3] + 5.0);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", AREA[3] + 22.0, count(10_f64.powi(power)));
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">Rules in the table, ten for each host</text>",
        f64::midpoint(AREA[0], AREA[2]),
        AREA[3] + 46.0
    );
}

fn line<'r>(svg: &mut String, scale: &Scale, style: &Style, points: impl Iterator<Item = &'r Row>) {
    let points: Vec<(f64, f64)> = points.map(|row| (scale.x(row.rules as f64), scale.y(row.mean))).collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let _ = writeln!(svg, "<path class=\"line {}\" d=\"M{}\"/>", style.class, path.join("L"));
    for (x, y) in points {
        let _ = writeln!(svg, "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>", style.class);
    }
}

/// The name of each line at its end; moved apart where ends are close, with a thin line to the end then.
fn labels(svg: &mut String, scale: &Scale, lines: &[(&Style, Vec<&Row>)], most: usize) {
    let mut ends: Vec<(&Style, f64, f64)> = Vec::new();
    for (style, points) in lines {
        if let Some(row) = points.iter().rfind(|row| row.rules <= most) {
            ends.push((style, scale.x(row.rules as f64), scale.y(row.mean)));
        }
    }
    ends.sort_by(|one, other| one.2.total_cmp(&other.2));
    // A line that ends early has its label beside it; the others are in one column.
    let (column, early): (Vec<_>, Vec<_>) = ends.into_iter().partition(|(_, x, _)| *x > AREA[2] - 1.0);
    for (style, x, y) in early {
        label(svg, style, (x, y), (x + 10.0, y + 4.5));
    }
    let mut places: Vec<f64> = column.iter().map(|(_, _, y)| *y).collect();
    for n in 1..places.len() {
        places[n] = places[n].max(places[n - 1] + LABEL);
    }
    // If that has pushed the last ones out of the picture, they push back.
    let mut lowest = AREA[3];
    for place in places.iter_mut().rev() {
        *place = place.min(lowest);
        lowest = *place - LABEL;
    }
    for ((style, x, y), place) in column.into_iter().zip(places) {
        label(svg, style, (x, y), (AREA[2] + 26.0, place + 4.5));
    }
}

fn label(svg: &mut String, style: &Style, end: (f64, f64), place: (f64, f64)) {
    if (end.1 + 4.5 - place.1).abs() > 1.0 || place.0 - end.0 > 20.0 {
        let (x, y) = (end.0 + 5.0, end.1);
        let _ = writeln!(svg, "<path class=\"lead {}\" d=\"M{x:.1} {y:.1}L{:.1} {:.1}\"/>", style.class, place.0 - 4.0, place.1 - 4.5);
    }
    let _ = writeln!(svg, "<text class=\"end {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", style.class, place.0, place.1, style.label);
}

/// Nanoseconds in the unit that makes them short.
fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        _ if nanoseconds < 999.5 => (nanoseconds, "ns"),
        _ if nanoseconds < 999_500.0 => (nanoseconds / 1e3, "µs"),
        _ => (nanoseconds / 1e6, "ms"),
    };
    if value < 9.95 && value.fract() > 0.05 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

fn count(rules: f64) -> String {
    match rules {
        _ if rules >= 1e6 => format!("{:.0} M", rules / 1e6),
        _ if rules >= 1e3 => format!("{:.0},000", rules / 1e3),
        _ => format!("{rules:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every label is in the picture and none is on another one.
    #[test]
    fn labels_are_apart() {
        let rows = STYLES.iter().flat_map(|style| {
            [10, 1_000, 100_000].map(|rules| Row {
                contender: style.contender.into(),
                set: "standard".into(),
                rules,
                mean: 100.0,
                ..Row::default()
            })
        });
        let svg = draw(&Results { rows: rows.collect(), ..Results::default() }).unwrap();
        let ends = svg.lines().filter(|line| line.starts_with("<text class=\"end"));
        let mut places: Vec<f64> =
            ends.map(|line| line.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()).collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), STYLES.len());
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LABEL - 0.1), "{places:?}");
        assert!(places[0] > 0.0 && places[places.len() - 1] < HEIGHT);
    }

    #[test]
    fn short_numbers() {
        assert_eq!([time(1.0), time(234.0), time(1_000.0), time(4_630.0), time(2e7)], ["1 ns", "234 ns", "1 µs", "4.6 µs", "20 ms"]);
        assert_eq!([count(10.0), count(100_000.0), count(1e6)], ["10", "100,000", "1 M"]);
    }
}
