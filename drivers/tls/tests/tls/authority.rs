//! Certificates for tests, and settings that use them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use vgi_rpc_tls::{ClientCertificates, ClientTls, ClientTlsBuilder, Pem, ServerTls, ServerTlsBuilder};

/// An authority that signs certificates.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key as PEM.
#[derive(Clone)]
pub struct Issued {
    pub pem: String,
    pub key: String,
    pub der: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Issues a certificate for a host, valid for years.
    pub fn issue(&self, host: &str) -> Issued {
        self.issue_until(host, 2100)
    }

    /// Issues one that expires at the end of this year.
    pub fn issue_until(&self, host: &str, year: i32) -> Issued {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 12, 31);
        self.sign(&params)
    }

    /// Issues one that names a workload and no host.
    pub fn issue_workload(&self, uri: &str) -> Issued {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { pem: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }

    pub fn client(&self) -> ClientTlsBuilder {
        ClientTls::builder().roots(Pem::bytes(self.pem.as_bytes()))
    }
}

impl Issued {
    pub fn certificates(&self) -> Pem {
        Pem::bytes(self.pem.as_bytes())
    }

    pub fn key(&self) -> Pem {
        Pem::bytes(self.key.as_bytes())
    }

    pub fn server(&self) -> ServerTlsBuilder {
        ServerTls::builder(self.certificates(), self.key())
    }
}

/// A server for `localhost`, and an authority that its clients trust.
pub struct Pair {
    pub authority: Authority,
    pub server: Issued,
}

impl Pair {
    pub fn new() -> Self {
        let authority = Authority::new("servers");
        let server = authority.issue("localhost");
        Self { authority, server }
    }

    pub fn open(&self) -> ServerTls {
        self.server.server().build().unwrap()
    }

    pub fn mutual(&self, clients: &Authority, certificates: ClientCertificates) -> ServerTls {
        let roots = Pem::bytes(clients.pem.as_bytes());
        self.server.server().client_roots(roots, certificates).build().unwrap()
    }

    pub fn client(&self) -> ClientTls {
        self.authority.client().build().unwrap()
    }

    pub fn client_with(&self, identity: &Issued) -> ClientTls {
        self.authority.client().identity(identity.certificates(), identity.key()).build().unwrap()
    }
}
