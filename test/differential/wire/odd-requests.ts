/** What is not about a kind: encodings, content types, values that JSON libraries lose, headers and paths. */
import type { WireGroup, WireRequest } from "./request.ts";
import { namespace } from "./world.ts";

const maps = `/api/v1/namespaces/${namespace}/configmaps`;
const map = (data: string, metadata = '{"name":"odd"}'): string =>
  `{"apiVersion":"v1","kind":"ConfigMap","metadata":${metadata},"data":${data}}`;

function post(what: string, body: WireRequest["body"], query = "", type?: string, headers = {}): WireRequest {
  return {
    name: `odd ${what}`,
    method: "POST",
    path: `${maps}?dryRun=All${query}`,
    ...(body !== undefined && { body }),
    headers: { ...(type && { "content-type": type }), ...headers },
  };
}

const job = (spec: string): string =>
  `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"odd"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"a"}]}},${spec}}}`;
const postJob = (what: string, spec: string, query = ""): WireRequest => ({
  name: `odd job ${what}`,
  method: "POST",
  path: `/apis/batch/v1/namespaces/${namespace}/jobs?dryRun=All${query}`,
  body: job(spec),
});

const revision = (data: string): WireRequest => ({
  name: `odd revision ${data}`,
  method: "POST",
  path: `/apis/apps/v1/namespaces/${namespace}/controllerrevisions?dryRun=All`,
  body: `{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{"name":"odd"},"revision":1,"data":${data}}`,
});

const numbers = [
  "1",
  "-1",
  "1.0",
  "1e3",
  "1.5",
  "2147483647",
  "2147483648",
  "9223372036854775807",
  "9223372036854775808",
  "1e400",
  "-0",
  "01",
  "0x1",
  "NaN",
];

const bodies: readonly WireRequest[] = [
  post("plain", map('{"a":"b"}')),
  ...["Strict", "Warn", "Ignore", "Perhaps"].flatMap((validation) => [
    post(`duplicate ${validation}`, map('{"a":"b","a":"c"}'), `&fieldValidation=${validation}`),
    post(
      `duplicate field ${validation}`,
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd"},"data":{"a":"b"},"data":{"c":"d"}}',
      `&fieldValidation=${validation}`,
    ),
    post(
      `unknown ${validation}`,
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd","x":1},"y":2}',
      `&fieldValidation=${validation}`,
    ),
    post(
      `other case ${validation}`,
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"Name":"odd"},"Data":{"a":"b"}}',
      `&fieldValidation=${validation}`,
    ),
  ]),
  post("__proto__", map('{"__proto__":"b","constructor":"c"}')),
  post(
    "__proto__ object",
    '{"__proto__":{"a":1},"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd","labels":{"__proto__":"x"}}}',
    "&fieldValidation=Strict",
  ),
  post("escapes", map('{"a":"\\u00e9\\ud83d\\ude00\\u2028\\t\\/"}')),
  post("lone surrogate", map('{"a":"\\ud800"}')),
  post("NUL", map('{"a":"\\u0000"}')),
  post(
    "bad UTF-8",
    Buffer.concat([
      Buffer.from('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd"},"data":{"a":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}}'),
    ]),
  ),
  post("byte order mark", `\ufeff${map("{}")}`),
  post("trailing text", `${map("{}")} more`),
  post("two documents", `${map("{}")}${map("{}")}`),
  post("trailing space", `${map("{}")}\n\n  `),
  post("comment", `/* a */${map("{}")}`),
  post("trailing comma", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd"},}'),
  post("control character", map('{"a":"\u0001"}')),
  post("empty", ""),
  post("null", "null"),
  post("a list", "[]"),
  post("text", '"text"'),
  post("a number", "1"),
  post("deep", map(`{"a":${"[".repeat(20000)}${"]".repeat(20000)}}`)),
  post("unclosed", map('{"a":"b"')),
  post("no kind", '{"metadata":{"name":"odd"}}'),
  post("empty kind", '{"kind":"","apiVersion":"","metadata":{"name":"odd"}}'),
  post("another kind", '{"kind":"Secret","apiVersion":"v1","metadata":{"name":"odd"}}'),
  post("unknown kind", '{"kind":"Alien","apiVersion":"v1","metadata":{"name":"odd"}}'),
  post("another version", '{"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"odd"}}'),
  post("a version with two slashes", '{"kind":"ConfigMap","apiVersion":"a/b/c","metadata":{"name":"odd"}}'),
  post("kind of another type", '{"kind":1,"apiVersion":"v1"}'),
  post("metadata of another type", '{"kind":"ConfigMap","apiVersion":"v1","metadata":"x"}'),
  post("metadata null", '{"kind":"ConfigMap","apiVersion":"v1","metadata":null}'),
  post("another namespace", map("{}", '{"name":"odd","namespace":"other"}')),
  post("generated", map("{}", '{"generateName":"generated-"}')),
  post("generated long", map("{}", `{"generateName":"${"g".repeat(300)}"}`)),
  post("name with slash", map("{}", '{"name":"a/b"}')),
  post("name ..", map("{}", '{"name":".."}')),
  post(
    "self made",
    map(
      "{}",
      '{"name":"odd","uid":"mine","creationTimestamp":"2020-01-01T00:00:00Z","generation":7,"resourceVersion":"","selfLink":"/x","deletionTimestamp":"2020-01-01T00:00:00Z"}',
    ),
  ),
  post("with a revision", map("{}", '{"name":"odd","resourceVersion":"5"}')),
  post("bad time", map("{}", '{"name":"odd","creationTimestamp":"yesterday"}')),
  post("finalizers", map("{}", '{"name":"odd","finalizers":["example.com/a","bad","kubernetes"]}')),
  post("many annotations", map("{}", `{"name":"odd","annotations":{"a":"${"x".repeat(262145)}"}}`)),
  post("too large a map", map(`{"a":"${"x".repeat(1048577)}"}`)),
  post("too large a body", map(`{"a":"${"x".repeat(3200000)}"}`)),
  post("yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata: {a: b}\n", "", "application/yaml"),
  post(
    "yaml duplicate",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata: {a: b, a: c}\n",
    "&fieldValidation=Strict",
    "application/yaml",
  ),
  post(
    "yaml anchor",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: odd}\ndata: {a: b}\n",
    "",
    "application/yaml",
  ),
  post("yaml number", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata: {a: 1}\n", "", "application/yaml"),
  post(
    "yaml yes",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata: {a: yes, b: on, c: ~}\n",
    "",
    "application/yaml",
  ),
  post("yaml broken", "a: b: c", "", "application/yaml"),
  post("yaml as json", "apiVersion: v1\nkind: ConfigMap\n", "", "application/json"),
  post("json as yaml", map("{}"), "", "application/yaml"),
  post("with charset", map("{}"), "", "application/json; charset=utf-8"),
  post("upper-case type", map("{}"), "", "Application/JSON"),
  post("unknown type", map("{}"), "", "text/plain"),
  post("form", "a=b", "", "application/x-www-form-urlencoded"),
  post("broken type", map("{}"), "", "///"),
  post("cbor", map("{}"), "", "application/cbor"),
  post("bad protobuf", "k8s\0garbage", "", "application/vnd.kubernetes.protobuf"),
  post("protobuf without prefix", "garbage", "", "application/vnd.kubernetes.protobuf"),
  post("empty protobuf", "k8s\0", "", "application/vnd.kubernetes.protobuf"),
  ...numbers.map((number) => postJob(`completions ${number}`, `"completions":${number}`)),
  ...numbers.map((number) => postJob(`deadline ${number}`, `"activeDeadlineSeconds":${number}`)),
  ...numbers.map((number) => revision(`{"a":${number}}`)),
  revision('{"a":1,"a":2,"__proto__":3}'),
  revision("null"),
  revision('"text"'),
  revision("[1.0,9007199254740993]"),
];

const ask = (what: string, method: string, path: string, headers = {}): WireRequest => ({
  name: `odd ${what}`,
  method,
  path,
  headers,
});

const paths: readonly WireRequest[] = [
  ask("root of nothing", "GET", "/nothing"),
  ask("api without version", "GET", "/api"),
  ask("unknown version", "GET", "/api/v9"),
  ask("unknown group", "GET", "/apis/nothing.example.com"),
  ask("unknown group version", "GET", "/apis/apps/v9"),
  ask("unknown group version resource", "GET", "/apis/apps/v9/deployments"),
  ask("unknown resource", "GET", "/api/v1/nothings"),
  ask("unknown resource in namespace", "GET", `/api/v1/namespaces/${namespace}/nothings`),
  ask("resource of no group", "GET", "/apis/apps/v1/pods"),
  ask("cluster resource in namespace", "GET", `/api/v1/namespaces/${namespace}/nodes`),
  ask("namespaced without namespace", "GET", "/api/v1/configmaps/odd"),
  ask("no such namespace", "GET", "/api/v1/namespaces/nobody/configmaps"),
  { ...post("in no such namespace", map("{}")), path: "/api/v1/namespaces/nobody/configmaps" },
  { ...post("without namespace", map("{}")), path: "/api/v1/configmaps" },
  ask("slash at the end", "GET", `${maps}/`),
  ask("encoded name", "GET", `${maps}/a%20b`),
  ask("encoded slash", "GET", `${maps}/a%2Fb`),
  ask("bad encoding", "GET", `${maps}/a%zz`),
  ask("unknown group resource", "GET", "/apis/nothing.example.com/v1/nothings"),
  ask("post to unknown group", "POST", "/apis/nothing.example.com/v1/nothings"),
  ask("custom group", "GET", "/apis/example.com"),
  ask("custom unknown version", "GET", "/apis/example.com/v9/namespaces/wire/widgets"),
  ask("custom unknown subresource", "GET", "/apis/example.com/v1/namespaces/wire/widgets/w/nothing"),
  ask("named custom without namespace", "GET", "/apis/example.com/v1/widgets/w"),
  ask("name with a percent", "GET", `${maps}/a%25b`),
  ask("name with a plus", "GET", `${maps}/a+b`),
  ask("double slash", "GET", `/api/v1//namespaces/${namespace}/configmaps/odd`),
  ask("watch path", "GET", `/api/v1/watch/namespaces/nobody/configmaps?resourceVersion=abc`),
  ask("group discovery", "GET", "/apis/apps"),
  ask("version discovery", "GET", "/apis/apps/v1"),
  ask("core discovery", "GET", "/api/v1"),
  ask("batch discovery", "GET", "/apis/batch/v1"),
  ask("rbac discovery", "GET", "/apis/rbac.authorization.k8s.io/v1"),
  ask("post to discovery", "POST", "/apis/apps/v1"),
  ask("delete discovery", "DELETE", "/apis/apps"),
  ask("health", "GET", "/healthz"),
  ask("live", "GET", "/livez"),
  ask("health of nothing", "GET", "/healthz/nothing"),
  ask("ping", "GET", "/healthz/ping"),
  ask("post to health", "POST", "/healthz"),
  ask("proxy of nobody", "GET", "/api/v1/namespaces/wire/services/nobody/proxy/"),
  ask("log of nobody", "GET", "/api/v1/namespaces/wire/pods/nobody/log"),
  ask("exec of nobody", "POST", "/api/v1/namespaces/wire/pods/nobody/exec?command=a"),
  ask("verb", "LINK", maps),
  ask("bad dry run", "DELETE", `${maps}/odd?dryRun=Some`),
  ask("pretty", "GET", "/apis/apps?pretty=true"),
  ask("impersonated", "GET", `${maps}/odd`, { "impersonate-user": "nobody" }),
  ask("impersonated group alone", "GET", `${maps}/odd`, { "impersonate-group": "nobodies" }),
  ask("impersonated account", "GET", maps, { "impersonate-user": "system:serviceaccount:wire:default" }),
  ask("impersonated anonymous", "GET", maps, { "impersonate-user": "system:anonymous" }),
  ask("impersonated at discovery", "GET", "/api", { "impersonate-user": "nobody" }),
  ask("impersonated at metrics", "GET", "/metrics", { "impersonate-user": "nobody" }),
  ask("bad accept", "GET", maps, { accept: ";;;" }),
  ask("accept a wildcard last", "GET", `${maps}/odd`, { accept: "*/*, application/yaml" }),
  ask("accept by no weight", "GET", `${maps}/odd`, { accept: "application/yaml;q=x, application/json" }),
  ask("accept of a custom kind", "GET", "/apis/example.com/v1/namespaces/wire/widgets", { accept: "text/html" }),
  ask("accept by weight", "GET", `${maps}/odd`, { accept: "application/yaml;q=0.1, application/json;q=0.9" }),
  ask("table of another version", "GET", `${maps}/odd`, { accept: "application/json;as=Table;v=v9;g=meta.k8s.io" }),
  ask("table of another group", "GET", `${maps}/odd`, { accept: "application/json;as=Table;v=v1;g=example.com" }),
];

const review = (what: string, group: string, plural: string, kind: string, spec: object, query = ""): WireRequest => ({
  name: `review ${what}`,
  method: "POST",
  path: `/apis/${group}/v1/${plural}${query}`,
  body: { apiVersion: `${group}/v1`, kind, spec },
});
const authorization = "authorization.k8s.io";
const authentication = "authentication.k8s.io";
const subject = (spec: object, what: string): WireRequest =>
  review(`subject ${what}`, authorization, "subjectaccessreviews", "SubjectAccessReview", spec);
const self = (spec: object, what: string): WireRequest =>
  review(`self ${what}`, authorization, "selfsubjectaccessreviews", "SelfSubjectAccessReview", spec);

const attributes = { verb: "get", resource: "pods", namespace };
const reviews: readonly WireRequest[] = [
  self({ resourceAttributes: attributes }, "resource"),
  self({ nonResourceAttributes: { path: "/x", verb: "get" } }, "path"),
  self({}, "nothing"),
  self({ resourceAttributes: attributes, nonResourceAttributes: { path: "/", verb: "get" } }, "both"),
  self({ resourceAttributes: { ...attributes, labelSelector: { rawSelector: "a in (b" } } }, "bad selector"),
  self(
    {
      resourceAttributes: {
        ...attributes,
        labelSelector: { rawSelector: "a", requirements: [{ key: "a", operator: "In" }] },
      },
    },
    "two selectors",
  ),
  self(
    {
      resourceAttributes: {
        ...attributes,
        fieldSelector: { requirements: [{ key: "a", operator: "Like", values: ["b"] }] },
      },
    },
    "bad operator",
  ),
  subject({ user: "nobody", resourceAttributes: attributes }, "nobody"),
  subject({ resourceAttributes: attributes }, "no one"),
  subject({ user: "system:admin", groups: ["system:masters"], resourceAttributes: attributes }, "master"),
  subject(
    { user: "u", groups: ["system:authenticated"], nonResourceAttributes: { path: "/api", verb: "get" } },
    "authenticated",
  ),
  review("rules", authorization, "selfsubjectrulesreviews", "SelfSubjectRulesReview", { namespace }),
  review("rules of nowhere", authorization, "selfsubjectrulesreviews", "SelfSubjectRulesReview", {}),
  review(
    "local elsewhere",
    authorization,
    `namespaces/${namespace}/localsubjectaccessreviews`,
    "LocalSubjectAccessReview",
    { user: "u", resourceAttributes: { ...attributes, namespace: "other" } },
  ),
  review("local", authorization, `namespaces/${namespace}/localsubjectaccessreviews`, "LocalSubjectAccessReview", {
    user: "u",
    resourceAttributes: attributes,
  }),
  review("token", authentication, "tokenreviews", "TokenReview", { token: "nonsense" }),
  review("no token", authentication, "tokenreviews", "TokenReview", {}),
  review("token dry", authentication, "tokenreviews", "TokenReview", { token: "nonsense" }, "?dryRun=All"),
  { ...review("get", authentication, "tokenreviews", "TokenReview", {}), method: "GET", body: "" },
];

export const oddGroups: readonly WireGroup[] = [
  { name: "odd bodies", requests: bodies },
  { name: "odd paths", requests: paths },
  { name: "reviews", requests: reviews },
];
