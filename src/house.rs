//! The rooms of the house, from the ground up. A room may use those before it, and nothing after.

const ROOMS: &[&str] = &[
    "language", "error", "config", "log", "platform", "db", "call", "run", "settings", "identity",
    "http", "modules", "mail", "queues", "cron", "router", "door",
];

/// The rooms that each file uses, by `crate::room`.
fn uses() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // A crate of its own, which cannot use this one.
                if !path.ends_with("domain") {
                    folders.push(path);
                }
                continue;
            }
            if path.extension().is_none_or(|kind| kind != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let places = text.split("crate::").skip(1);
            for place in places {
                let room: String = place
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                found.push((path.display().to_string(), room));
            }
        }
    }
    found
}

#[test]
fn dependencies_point_one_way() {
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    for (file, used) in uses() {
        let room = file.split(['/', '.']).nth(1).unwrap_or_default().to_owned();
        // The doors and this page know every room.
        if room == "lib" || room == "house" {
            continue;
        }
        let (here, there) = (rank(&room), rank(&used));
        assert!(here.is_some(), "{file} is in no room");
        assert!(
            there.is_some(),
            "{file} uses crate::{used}, which is no room"
        );
        assert!(
            here >= there,
            "{file} uses crate::{used}, which comes after it"
        );
    }
}
