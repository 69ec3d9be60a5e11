//! Every report: where its facts are, and what its numbers are made of.

pub mod ai;
pub mod dashboard;
pub mod licenses;
pub mod people;
pub mod roi;
pub mod sales;

use super::report::Report;

/// All of them, in the order in which an archive has them.
pub const ALL: &[&Report] = &[
    &dashboard::DASHBOARD,
    &licenses::LICENSES,
    &licenses::VALIDATED,
    &sales::SALES,
    &sales::BY_PRODUCT,
    &sales::BY_PERIOD,
    &ai::USAGE,
    &ai::BY_PROVIDER,
    &ai::COSTS,
    &roi::ROI,
    &roi::BY_PRODUCT,
    &people::USERS,
    &people::ACTIVE,
];

/// What a product is called.
pub const PRODUCT: &str = "SELECT p.name FROM products p WHERE p.id = k.key::uuid";
/// What a plan is called.
pub const PLAN: &str = "SELECT p.name FROM subscription_plans p WHERE p.id = k.key::uuid";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn reports_fit_together_and_are_documented() {
        let defined = std::fs::read_to_string("docs/metrics.md").unwrap();
        let mut known = HashSet::new();
        for report in ALL {
            assert!(known.insert(report.name) && known.insert(report.path));
            assert!(defined.contains(&format!("`{}`", report.name)) || report.name == "dashboard");
            let names: HashSet<_> = report.measures.iter().map(|one| one.name).collect();
            assert_eq!(names.len(), report.measures.len(), "{}", report.name);
            for name in &names {
                assert!(
                    defined.contains(&format!("`{name}`")),
                    "{name} is not defined"
                );
            }
            for group in report.groups {
                for name in group.measures {
                    assert!(names.contains(name), "{} has no {name}", report.name);
                }
            }
            for measure in report.measures {
                if let Some(reason) = measure.missing {
                    assert!(
                        defined.contains(&format!("`{reason}`")),
                        "{reason} is not told"
                    );
                }
            }
        }
    }
}
