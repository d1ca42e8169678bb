//! Sends requests to other servers: documents and forms, as effects.

use bytes::Bytes;
use vgi_rpc_documents::DocumentLoader;
use vgi_rpc_effects::Perform;
use vgi_rpc_external::HttpFetcher;
use vgi_rpc_protocol::effect::{Completion, Failure, Question, Request};
use vgi_rpc_protocol::external::{Location, UrlPolicy};
use vgi_rpc_protocol::http::documents::{FormResponse, LoadDocument, PostForm};
use vgi_rpc_protocol::http::login::LoginError;

/// Sends requests: to the called server at any address, because the application has chosen it; to others if the policy allows it.
pub(crate) struct Outside {
    server: Location,
    own: DocumentLoader,
    others: DocumentLoader,
}

impl Outside {
    pub(crate) fn new(server: &Location, fetcher: HttpFetcher, policy: UrlPolicy) -> Self {
        // It only receives URLs of this server, and does not follow redirects.
        let own = DocumentLoader::with(fetcher.clone(), UrlPolicy::unrestricted());
        Self { server: server.clone(), own, others: DocumentLoader::with(fetcher, policy) }
    }

    fn loader(&self, url: &str) -> &DocumentLoader {
        let is_own = Location::parse(url).is_ok_and(|url| url.url().origin() == self.server.url().origin());
        if is_own { &self.own } else { &self.others }
    }
}

impl Perform for Outside {
    fn perform(&self, request: &Request, _: &mut dyn FnMut(Bytes)) -> Completion {
        let Request::Question(question) = request else { return Failure::unsupported().into() };
        match (question.payload::<LoadDocument>(), question.payload::<PostForm>()) {
            (Some(document), _) => self.loader(&document.url).load(document),
            (None, Some(form)) => self.loader(&form.url).post(form),
            (None, None) => Failure::unsupported().into(),
        }
    }
}

/// Loads a document.
pub(crate) fn load(perform: &dyn Perform, document: LoadDocument) -> Result<Vec<u8>, LoginError> {
    let mut data = Vec::new();
    let completion = perform
        .perform(&Request::Question(Question::new(document)), &mut |piece| data.extend_from_slice(&piece));
    match completion {
        Completion::Done => Ok(data),
        Completion::Value(value) => match value.downcast_ref::<Bytes>() {
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(LoginError::Unavailable("expected a document, got another value".into())),
        },
        other => Err(failed(&other)),
    }
}

/// Sends a form.
pub(crate) fn post(perform: &dyn Perform, form: PostForm) -> Result<FormResponse, LoginError> {
    let completion = perform.perform(&Request::Question(Question::new(form)), &mut |_| {});
    match completion {
        // The value is dropped here, so that the body of its clone can be erased later.
        Completion::Value(value) => match value.downcast_ref::<FormResponse>().cloned() {
            Some(answer) => Ok(answer),
            None => Err(LoginError::Unavailable("expected the answer to a form, got another value".into())),
        },
        other => Err(failed(&other)),
    }
}

fn failed(completion: &Completion) -> LoginError {
    LoginError::Unavailable(match completion {
        Completion::Failed(failure) => failure.message.clone(),
        _ => "expected a document or the answer to a form, got something else".into(),
    })
}
