//! Which addresses may be called. A plugin, a name server or a typing error must not turn the gateway against its own
//! machine and network: what is not on the public internet is called only where the operator says so, and what no
//! service lives on is never called.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a provider may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The public internet.
    Public,
    /// This machine and private networks too: `allow_private_network`.
    Private,
}

impl Reach {
    pub fn check(self, address: IpAddr) -> Result<(), Forbidden> {
        self.allows(zone(address), || address.to_string())
    }

    /// A host as it stands in a URL. What any other name stands for is known when it is resolved.
    pub fn check_host(self, host: &str) -> Result<(), Forbidden> {
        // A name may end in the dot of the root.
        let host = host.strip_suffix('.').unwrap_or(host);
        let lower = host.to_ascii_lowercase();
        match literal(host) {
            Some(address) => self.check(address),
            // RFC 6761: whoever resolves it.
            None if lower == "localhost" || lower.ends_with(".localhost") => {
                self.allows((Zone::Private, "this machine (RFC 6761)"), || host.to_owned())
            }
            None => Ok(()),
        }
    }

    fn allows(self, (zone, what): Place, called: impl Fn() -> String) -> Result<(), Forbidden> {
        match (zone, self) {
            (Zone::Public, _) | (Zone::Private, Reach::Private) => Ok(()),
            (Zone::Private, Reach::Public) | (Zone::Shut, _) => Err(Forbidden { called: called(), zone, what }),
        }
    }
}

/// The address that a host is, where it is one; with or without the brackets of a URL.
pub fn literal(host: &str) -> Option<IpAddr> {
    let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    plain.parse().ok()
}

/// Why an address is not called, for the operator alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    called: String,
    zone: Zone,
    what: &'static str,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forbidden { called, zone, what } = self;
        match zone {
            Zone::Private => write!(
                formatter,
                "{called} is {what}, which is called only with `network_config: {{allow_private_network: true}}`"
            ),
            Zone::Public | Zone::Shut => write!(formatter, "{called} is {what}, which is never called"),
        }
    }
}

impl std::error::Error for Forbidden {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Public,
    /// This machine and its networks.
    Private,
    /// Where no service can be that a provider stands for. Whoever talks to link-local addresses talks to the machine's
    /// own cloud, which gives its credentials to anybody who asks from there.
    Shut,
}
use Zone::{Private, Public, Shut};

/// A zone, and what there is.
type Place = (Zone, &'static str);

/// Of IANA's registry of special addresses. The first that holds an address says what it is.
const V4: [(Ipv4Addr, u32, Place); 20] = [
    (Ipv4Addr::new(100, 100, 100, 200), 32, (Shut, "a cloud's metadata service")),
    (Ipv4Addr::new(168, 63, 129, 16), 32, (Shut, "a cloud's metadata service")),
    (Ipv4Addr::new(0, 0, 0, 0), 8, (Shut, "no address of a host (RFC 1122)")),
    (Ipv4Addr::new(10, 0, 0, 0), 8, (Private, "in a private network (RFC 1918)")),
    (Ipv4Addr::new(100, 64, 0, 0), 10, (Private, "in a network behind a carrier's NAT (RFC 6598)")),
    (Ipv4Addr::new(127, 0, 0, 0), 8, (Private, "this machine (RFC 1122)")),
    (Ipv4Addr::new(169, 254, 0, 0), 16, (Shut, "link-local, where clouds give out credentials (RFC 3927)")),
    (Ipv4Addr::new(172, 16, 0, 0), 12, (Private, "in a private network (RFC 1918)")),
    (Ipv4Addr::new(192, 0, 0, 0), 24, (Shut, "for protocols (RFC 6890)")),
    (Ipv4Addr::new(192, 0, 2, 0), 24, (Shut, "for documentation (RFC 5737)")),
    (Ipv4Addr::new(192, 88, 99, 0), 24, (Shut, "for relays that are no more (RFC 7526)")),
    (Ipv4Addr::new(192, 168, 0, 0), 16, (Private, "in a private network (RFC 1918)")),
    (Ipv4Addr::new(198, 18, 0, 0), 15, (Private, "in a network for benchmarks (RFC 2544)")),
    (Ipv4Addr::new(198, 51, 100, 0), 24, (Shut, "for documentation (RFC 5737)")),
    (Ipv4Addr::new(203, 0, 113, 0), 24, (Shut, "for documentation (RFC 5737)")),
    (Ipv4Addr::new(224, 0, 0, 0), 4, (Shut, "multicast (RFC 5771)")),
    (Ipv4Addr::new(255, 255, 255, 255), 32, (Shut, "broadcast (RFC 919)")),
    (Ipv4Addr::new(240, 0, 0, 0), 4, (Shut, "reserved (RFC 1112)")),
    (Ipv4Addr::new(0, 0, 0, 0), 1, PUBLIC),
    (Ipv4Addr::new(128, 0, 0, 0), 1, PUBLIC),
];

const V6: [(Ipv6Addr, u32, Place); 14] = [
    (Ipv6Addr::LOCALHOST, 128, (Private, "this machine (RFC 4291)")),
    (Ipv6Addr::UNSPECIFIED, 128, (Shut, "no address of a host (RFC 4291)")),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32, (Shut, "a cloud's metadata service")),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0), 32, (Shut, "a cloud's metadata service")),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, (Private, "in a private network (RFC 4193)")),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, (Private, "in a private network (RFC 3879)")),
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        10,
        (Shut, "link-local, where clouds give out credentials (RFC 4291)"),
    ),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, (Shut, "multicast (RFC 4291)")),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, (Shut, "for protocols and tunnels (RFC 2928)")),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, (Shut, "for documentation (RFC 3849)")),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, (Shut, "for documentation (RFC 9637)")),
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, PUBLIC),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, (Shut, "behind a NAT that may lead anywhere (RFC 8215)")),
    // Among them the IPv4-compatible ones, whose IPv4 nobody routes.
    (Ipv6Addr::UNSPECIFIED, 0, (Shut, "outside of what is given out (RFC 4291)")),
];

const PUBLIC: Place = (Public, "public");

fn zone(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| of_v6(address), of_v4),
    }
}

fn of_v4(address: Ipv4Addr) -> Place {
    let holds = |network: Ipv4Addr, bits: u32| (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits;
    V4.iter().find(|(network, bits, _)| holds(*network, *bits)).map_or(PUBLIC, |(_, _, place)| *place)
}

fn of_v6(address: Ipv6Addr) -> Place {
    let holds = |network: Ipv6Addr, bits: u32| (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits;
    V6.iter().find(|(network, bits, _)| holds(*network, *bits)).map_or(PUBLIC, |(_, _, place)| *place)
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), by NAT64 (RFC 6052), by 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (high, low),
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone_of(text: &str) -> Zone {
        zone(text.parse().unwrap_or_else(|_| panic!("{text} is no address"))).0
    }

    #[test]
    fn each_range_begins_and_ends_where_it_should() {
        for (zone, first, last) in [
            (Shut, "0.0.0.0", "0.255.255.255"),
            (Public, "1.0.0.0", "9.255.255.255"),
            (Private, "10.0.0.0", "10.255.255.255"),
            (Public, "11.0.0.0", "100.63.255.255"),
            (Private, "100.64.0.0", "100.100.100.199"),
            (Shut, "100.100.100.200", "100.100.100.200"),
            (Private, "100.100.100.201", "100.127.255.255"),
            (Public, "100.128.0.0", "126.255.255.255"),
            (Private, "127.0.0.0", "127.255.255.255"),
            (Public, "128.0.0.0", "168.63.129.15"),
            (Shut, "168.63.129.16", "168.63.129.16"),
            (Public, "168.63.129.17", "169.253.255.255"),
            (Shut, "169.254.0.0", "169.254.255.255"),
            (Public, "169.255.0.0", "172.15.255.255"),
            (Private, "172.16.0.0", "172.31.255.255"),
            (Public, "172.32.0.0", "191.255.255.255"),
            (Shut, "192.0.0.0", "192.0.0.255"),
            (Public, "192.0.1.0", "192.0.1.255"),
            (Shut, "192.0.2.0", "192.0.2.255"),
            (Public, "192.0.3.0", "192.88.98.255"),
            (Shut, "192.88.99.0", "192.88.99.255"),
            (Public, "192.88.100.0", "192.167.255.255"),
            (Private, "192.168.0.0", "192.168.255.255"),
            (Public, "192.169.0.0", "198.17.255.255"),
            (Private, "198.18.0.0", "198.19.255.255"),
            (Public, "198.20.0.0", "198.51.99.255"),
            (Shut, "198.51.100.0", "198.51.100.255"),
            (Public, "198.51.101.0", "203.0.112.255"),
            (Shut, "203.0.113.0", "203.0.113.255"),
            (Public, "203.0.114.0", "223.255.255.255"),
            (Shut, "224.0.0.0", "255.255.255.255"),
            (Shut, "::", "::"),
            (Private, "::1", "::1"),
            (Shut, "::2", "::fffe:ffff:ffff"),
            (Shut, "::1:0:0:0", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "64:ff9b::1:0:0", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Public, "2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Public, "2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Public, "2001:db9::", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Public, "2003::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Public, "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Private, "fc00::", "fd00:ec1:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "fd00:ec2::", "fd00:ec2:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Private, "fd00:ec3::", "fd20:cd:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "fd20:ce::", "fd20:ce:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Private, "fd20:cf::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "fe00::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Private, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Shut, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!((zone_of(first), zone_of(last)), (zone, zone), "{first} to {last}");
        }
    }

    #[test]
    fn an_ipv4_address_in_an_ipv6_address_is_what_it_is() {
        for (zone, inside) in
            [(Private, "127.0.0.1"), (Private, "10.1.2.3"), (Shut, "169.254.169.254"), (Public, "8.8.8.8")]
        {
            let [a, b, c, d] = inside.parse::<Ipv4Addr>().expect("an address").octets();
            let low = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
            for text in [format!("::ffff:{inside}"), format!("64:ff9b::{inside}"), format!("2002:{low}::1")] {
                assert_eq!(zone_of(&text), zone, "{text}");
            }
            // Deprecated, or of nobody knows which NAT.
            for text in [format!("::{inside}"), format!("::ffff:0:{inside}"), format!("64:ff9b:1::{inside}")] {
                assert_eq!(zone_of(&text), Shut, "{text}");
            }
        }
    }

    #[test]
    fn what_is_private_must_be_allowed_and_what_is_shut_cannot_be() {
        for (host, public, private) in [
            ("api.example.com", true, true),
            ("8.8.8.8", true, true),
            ("[2606:4700::1111]", true, true),
            ("127.0.0.1", false, true),
            ("[::1]", false, true),
            ("[::ffff:10.0.0.1]", false, true),
            ("127.0.0.1.", false, true),
            ("localhost", false, true),
            ("LocalHost.", false, true),
            ("models.localhost", false, true),
            ("notlocalhost", true, true),
            ("169.254.169.254", false, false),
            ("[fd00:ec2::254]", false, false),
            ("[fe80::1]", false, false),
            ("0.0.0.0", false, false),
            ("[::]", false, false),
            ("255.255.255.255", false, false),
        ] {
            assert_eq!(Reach::Public.check_host(host).is_ok(), public, "{host}");
            assert_eq!(Reach::Private.check_host(host).is_ok(), private, "{host}");
        }
    }

    #[test]
    fn the_operator_reads_what_to_do() {
        let told = |host| Reach::Public.check_host(host).expect_err("not public").to_string();
        assert_eq!(
            told("10.1.2.3"),
            "10.1.2.3 is in a private network (RFC 1918), which is called only with `network_config: \
             {allow_private_network: true}`"
        );
        assert_eq!(
            told("169.254.169.254"),
            "169.254.169.254 is link-local, where clouds give out credentials (RFC 3927), which is never called"
        );
    }
}
