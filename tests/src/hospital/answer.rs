use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer of the server, with the whole body as text.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        Self::try_of(response).await.expect("the body can be read")
    }

    /// An answer that may be cut off.
    pub(crate) async fn try_of(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().expect("the header is text"))
    }

    /// The JSON body of an answer, which must have a status of success.
    pub(crate) fn done(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.json()
    }

    /// The id of the stream in the answer of a command.
    pub(crate) fn id(&self) -> String {
        self.done()["id"].as_str().expect("the answer has an id").to_owned()
    }

    /// The position in the log in the answer of a command.
    pub(crate) fn position(&self) -> i64 {
        self.done()["position"].as_i64().expect("the answer has a position")
    }

    /// The JSON body of an answer, which must be a complete problem document with this status and code.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{problem}");
        for member in ["type", "title", "detail", "instance", "request_id"] {
            assert!(problem[member].as_str().is_some_and(|it| !it.is_empty()), "{member} of {problem}");
        }
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{problem}");
        for error in problem["errors"].as_array().into_iter().flatten() {
            assert!(error["pointer"].is_string() && error["message"].is_string(), "{problem}");
        }
        problem
    }

    /// As [`problem`](Self::problem); the first error must point to the field `pointer`.
    pub(crate) fn problem_at(&self, status: u16, code: &str, pointer: &str) {
        let problem = self.problem(status, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}
