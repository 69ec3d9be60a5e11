//! What travels between the worker and the object is read as it was written.

use super::*;
use celaest_domain::license::AddressSource;
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_check_is_read_as_it_was_written(
        texts in proptest::array::uniform4(proptest::option::of("[a-zé=\\\\n\n \0]{0,9}")),
        vendor in proptest::option::of(any::<u128>()),
        settings in proptest::option::of((any::<u32>(), any::<bool>(), any::<bool>(), any::<i64>())),
        numbers in any::<(u32, u32)>(),
        supply in 0..4,
    ) {
        let data = RawValue::from_string("{\n\"a\": 1}".into()).unwrap();
        let [machine_id, hostname, nonce, reported] = &texts;
        let reported = reported.as_ref().map(|_| "2001:db8::1");
        let told = Check {
            reported_ip: reported,
            vendor: vendor.map(Uuid::from_u128),
            machine_id: machine_id.as_deref().map(Into::into),
            hostname: hostname.as_deref().map(Into::into),
            nonce: nonce.as_deref().map(Into::into),
            lang: if supply == 0 { Lang::Es } else { Lang::En },
            limit_per_minute: numbers.0,
            snapshot_ttl_s: numbers.1,
            settings: settings.map(|(most, may, by_connection, read_at)| CurrentSettings {
                values: Settings {
                    collision_threshold: most,
                    collision_auto_revoke: may,
                    address_source: match by_connection {
                        true => AddressSource::Connection,
                        false => AddressSource::Reported,
                    },
                },
                read_at,
            }),
            supply: match supply {
                0 => None,
                1 => Some(Supply::Unavailable),
                2 => Some(Supply::Missing { token: u64::MAX }),
                _ => Some(Supply::Data { token: 7, data: &data }),
            },
            ..check("192.0.2.1")
        };
        let text = told.encode();
        let read = Check::decode(&text).unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{told:?}"));
    }
}

#[test]
fn what_is_no_check_is_refused() {
    for text in [
        "",
        "{}",
        "=1\n=2\n\n\n\nes 1 x\n\n",
        "\n\n\n\n\nes 1 1\n\n",
        "\n=2\n\n\n\nes 1 1\n\n{",
    ] {
        assert!(Check::decode(text).is_none(), "{text:?}");
    }
}
