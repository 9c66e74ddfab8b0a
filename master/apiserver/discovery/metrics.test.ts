import { expect, test } from "bun:test";
import { RequestGate } from "../../flow-control/request-gate.ts";
import { requestInfoOf } from "../http/request-info.ts";
import { ServerMetrics } from "./metrics.ts";

const query = new URLSearchParams();
const pods = requestInfoOf("GET", "/api/v1/namespaces/a/pods/p", query);
const watch = requestInfoOf("GET", "/api/v1/pods", new URLSearchParams("watch=true"));

test("requests are counted under upstream's names", () => {
  const metrics = new ServerMetrics(new RequestGate(), () => true);
  metrics.begin(pods)(200);
  metrics.begin(pods)(404);
  const end = metrics.begin(watch);
  const open = metrics.begin(requestInfoOf("POST", "/api/v1/namespaces/a/pods", query));
  const during = metrics.read();
  const labels =
    'verb="GET",group="",version="v1",resource="pods",subresource="",scope="resource",component="apiserver"';
  expect(during).toContain("# TYPE apiserver_request_duration_seconds histogram");
  expect(during).toContain(`apiserver_request_total{${labels},dry_run="",code="200"} 1`);
  expect(during).toContain(`apiserver_request_total{${labels},dry_run="",code="404"} 1`);
  expect(during).toContain(`apiserver_request_duration_seconds_bucket{${labels},dry_run="",le="60"} 2`);
  expect(during).toContain(`apiserver_request_duration_seconds_bucket{${labels},dry_run="",le="+Inf"} 2`);
  expect(during).toContain(`apiserver_request_duration_seconds_count{${labels},dry_run=""} 2`);
  // Bounds on which the usual rules for alerts are drawn.
  for (const bound of ["1", "5", "30"])
    expect(during).toContain(`apiserver_request_sli_duration_seconds_bucket{${labels},le="${bound}"} 2`);
  expect(during).not.toContain(`apiserver_request_sli_duration_seconds_bucket{${labels},le="0.005"}`);
  expect(during).toContain('apiserver_current_inflight_requests{request_kind="mutating"} 1');
  expect(during).toMatch(/apiserver_longrunning_requests\{verb="WATCH".*\} 1/);
  open(201);
  end(200);
  const after = metrics.read();
  expect(after).toContain('apiserver_current_inflight_requests{request_kind="mutating"} 0');
  expect(after).not.toMatch(/apiserver_longrunning_requests\{/);
});

test.each([
  ["POST", "/api/v1/namespaces/a/pods", "", "POST", "resource"],
  ["PUT", "/api/v1/namespaces/a/pods/p", "", "PUT", "resource"],
  ["PUT", "/api/v1/namespaces/a/pods/p/status", "", "PUT", "resource"],
  ["PATCH", "/api/v1/namespaces/a/pods/p", "application/merge-patch+json", "PATCH", "resource"],
  ["PATCH", "/api/v1/namespaces/a/pods/p", "application/apply-patch+yaml", "APPLY", "resource"],
  ["HEAD", "/api/v1/namespaces/a/pods/p", "", "GET", "resource"],
  ["GET", "/api/v1/namespaces/a/pods", "", "LIST", "namespace"],
  ["GET", "/api/v1/nodes", "", "LIST", "cluster"],
  ["DELETE", "/api/v1/namespaces/a/pods/p", "", "DELETE", "resource"],
  ["DELETE", "/api/v1/namespaces/a/pods", "", "DELETE", "namespace"],
  ["GET", "/api/v1/namespaces/a/pods/p/log", "", "CONNECT", "resource"],
  ["POST", "/api/v1/namespaces/a/pods/p/exec", "", "CONNECT", "resource"],
  ["GET", "/healthz", "", "GET", ""],
  ["OPTIONS", "/healthz", "", "other", ""],
])("%s %s %s is counted as upstream does: %s, %s", (method, path, contentType, verb, scope) => {
  const metrics = new ServerMetrics(new RequestGate(), () => true);
  metrics.begin(requestInfoOf(method, path, query), contentType)(200);
  const [, labels] = /^apiserver_request_total\{(.*)\} 1$/m.exec(metrics.read()) ?? [];
  expect(labels).toStartWith(`verb="${verb}",`);
  expect(labels).toContain(`,scope="${scope}",`);
});

test("paths that clients make up do not grow what is kept, nor take the place of others", () => {
  const metrics = new ServerMetrics(new RequestGate(), ({ group }) => group === "");
  for (let index = 0; index < 5000; index += 1) {
    metrics.begin(requestInfoOf("GET", `/apis/g${index}/v1/things`, query))(404);
  }
  metrics.begin(pods)(200);
  const text = metrics.read();
  expect(text.match(/^apiserver_request_total\{/gm)?.length).toBeLessThan(2100);
  expect(text).toMatch(/apiserver_request_total\{verb="other".*code="404"\} 4000/);
  expect(text).toMatch(/apiserver_request_total\{verb="GET".*resource="pods".*code="200"\} 1/);
});
