//! Which addresses may be asked, and what a redirect may lead to.

use ureq::http::Uri;

use super::Error;

/// Hosts for which plain http is accepted: nothing leaves the machine.
fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether `uri` is plain http on this machine; only a mirror for tests is.
pub(super) fn is_local_http(uri: &Uri) -> bool {
    uri.scheme_str() == Some("http") && is_loopback(uri)
}

/// The address without what may be secret: user part, query, fragment.
pub(super) fn shown(uri: &Uri) -> String {
    let host = uri.authority().map_or("", |a| a.as_str().rsplit('@').next().unwrap_or_default());
    format!("{}://{host}{}", uri.scheme_str().unwrap_or_default(), uri.path())
}

/// Check a mirror's base address. The address itself is kept out of the message.
pub(super) fn check_mirror(base: &str) -> Result<(), Error> {
    check_base(base).map_err(|problem| Error::Mirror { problem })
}

/// Whether `base` is an address to which paths may be added: https, or http on this machine; without a user, a password or a
/// query.
///
/// # Errors
/// Says what it is instead, without the address, which may hold a password.
pub fn check_base(base: &str) -> Result<(), &'static str> {
    let Ok(uri) = base.parse::<Uri>() else { return Err("cannot be read") };
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_loopback(&uri) => {}
        Some("http") => return Err("is plain http to another machine"),
        _ => return Err("has no http or https scheme"),
    }
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err("holds a user name or password");
    }
    if uri.query().is_some() {
        return Err("holds a query");
    }
    Ok(())
}

/// Whether two addresses are on one server: what is secret between it and us may be sent to both.
pub(super) fn same_server(a: &Uri, b: &Uri) -> bool {
    let port =
        |uri: &Uri| uri.port_u16().or(if uri.scheme_str() == Some("https") { Some(443) } else { Some(80) });
    let same_host = a.host().zip(b.host()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
    same_host && a.scheme_str() == b.scheme_str() && port(a) == port(b)
}

/// Where `location`, a redirect from `from`, leads. https stays https; plain http stays on this machine.
///
/// # Errors
/// Says why the redirect is not followed.
pub(super) fn redirect(from: &Uri, location: &str) -> Result<Uri, String> {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str().unwrap_or_default();
    let authority = from.authority().map_or("", |a| a.as_str());
    let target = if let Some(named) = scheme_of(location) {
        if named != "https" && (named != "http" || scheme != "http") {
            return Err(format!("redirected from {scheme} to {named}, which is refused"));
        }
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let uri: Uri = target.parse().map_err(|_| "redirected to an address that cannot be read".to_owned())?;
    if uri.host().is_none_or(str::is_empty) {
        return Err("redirected to an address without a host".to_owned());
    }
    if uri.scheme_str() == Some("http") && !is_loopback(&uri) {
        return Err(format!(
            "redirected to {}, plain http to another machine, which is refused",
            shown(&uri)
        ));
    }
    Ok(uri)
}

/// The lower-case scheme of an absolute address.
fn scheme_of(address: &str) -> Option<String> {
    let (scheme, _) = address.split_once(':')?;
    let letters = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (letters && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then(|| scheme.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, location: &str) -> Result<String, String> {
        redirect(&from.parse().expect("a test address"), location).map(|uri| uri.to_string())
    }

    #[test]
    fn https_is_never_left() {
        let from = "https://a.example/x/y.zip";
        assert_eq!(
            follow(from, "http://a.example/y"),
            Err("redirected from https to http, which is refused".into())
        );
        assert_eq!(
            follow(from, "http://127.0.0.1/y"),
            Err("redirected from https to http, which is refused".into())
        );
        assert_eq!(
            follow(from, "FILE:///etc/passwd"),
            Err("redirected from https to file, which is refused".into())
        );
        assert_eq!(follow(from, "https://b.example/z?k=1#part"), Ok("https://b.example/z?k=1".into()));
        assert_eq!(follow(from, "//b.example/z"), Ok("https://b.example/z".into()));
        assert_eq!(follow(from, "/z"), Ok("https://a.example/z".into()));
        assert_eq!(follow(from, "z.zip"), Ok("https://a.example/x/z.zip".into()));
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let from = "http://127.0.0.1:8000/x";
        assert_eq!(follow(from, "http://localhost:9/y"), Ok("http://localhost:9/y".into()));
        assert_eq!(follow(from, "https://b.example/y"), Ok("https://b.example/y".into()));
        assert_eq!(
            follow(from, "http://u:p@b.example/y?token=1"),
            Err("redirected to http://b.example/y, plain http to another machine, which is refused".into())
        );
    }

    #[test]
    fn a_server_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| {
            same_server(&a.parse().expect("a test address"), &b.parse().expect("a test address"))
        };
        assert!(same("https://a.example/x", "https://A.example:443/y?z"));
        assert!(same("http://127.0.0.1:80/x", "http://127.0.0.1/y"));
        assert!(!same("https://a.example/", "https://b.a.example/"));
        assert!(!same("https://a.example/", "https://a.example:444/"));
        assert!(!same("https://a.example/", "http://a.example:443/"));
    }

    #[test]
    fn a_mirror_is_https_or_this_machine() {
        let problem = |base| check_mirror(base).err().map(|e| e.to_string());
        assert_eq!(problem("https://mirror.example/data"), None);
        assert_eq!(problem("http://[::1]:80/data"), None);
        let ending = "; expected https://HOST/FOLDER, or http:// with a loopback host such as 127.0.0.1";
        for (base, what) in [
            ("http://mirror.example/", "is plain http to another machine"),
            ("http://127.0.0.1.example/", "is plain http to another machine"),
            ("ftp://mirror.example/", "has no http or https scheme"),
            ("mirror", "has no http or https scheme"),
            ("https://u:secret@mirror.example/", "holds a user name or password"),
            ("https://mirror.example/?token=secret", "holds a query"),
            ("https://mirror example/", "cannot be read"),
        ] {
            assert_eq!(problem(base), Some(format!("the mirror address {what}{ending}")));
        }
    }
}
