import { expect, test } from "bun:test";
import { answerOf, stepsOf } from "./admission-review.ts";

const review = (response: object, head: object = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" }) => ({
  ...head,
  response: { uid: "1", allowed: true, ...response },
});
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const patchOf = (text: string) =>
  answerOf(review({ patch: base64(text), patchType: "JSONPatch" }), "v1", "1", true).patch;

test("an answer without a kind is told to be of none", () => {
  expect(() => answerOf(review({}, {}), "v1", "1", false)).toThrow(
    "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
  );
});

test("a patch that cannot be read is the webhook's failure, in upstream's words", () => {
  const undecodable = "received undecodable patch in webhook response";
  const steps = (text: string) => stepsOf(patchOf(text) ?? "");
  expect(() => steps("odd")).toThrow(`${undecodable}: invalid character 'o' looking for beginning of value`);
  expect(() => steps("{}")).toThrow(
    `${undecodable}: json: cannot unmarshal object into Go value of type jsonpatch.Patch`,
  );
  expect(() => steps('["x"]')).toThrow(
    `${undecodable}: json: cannot unmarshal string into Go value of type jsonpatch.Operation`,
  );
  expect(steps("null")).toEqual([]);
  expect(steps("[]")).toEqual([]);
  expect(steps('[null,{"op":"add","path":"/a","value":1}]')).toEqual([null, { op: "add", path: "/a", value: 1 }]);
});

test("an answer that is of another kind, or whose fields are of other types, cannot be read", () => {
  const read = (sent: unknown) => () => answerOf(sent, "v1", "1", true);
  const of = (apiVersion: unknown, kind = "AdmissionReview") => read(review({}, { apiVersion, kind }));
  const unregistered = 'in scheme "pkg/runtime/scheme.go:111"';
  expect(of("admission.k8s.io/v1beta1")).toThrow(
    "converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
  );
  expect(of("v1", "Status")).toThrow("converting (v1.Status) to (v1.AdmissionReview): unknown conversion");
  expect(of("v1", "ConfigMap")).toThrow(`no kind "ConfigMap" is registered for version "v1" ${unregistered}`);
  expect(of("odd.io/v1")).toThrow(`no kind "AdmissionReview" is registered for version "odd.io/v1" ${unregistered}`);
  expect(of("a/b/c")).toThrow("unexpected GroupVersion string: a/b/c");
  expect(of(1)).toThrow(
    "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .apiVersion of type string",
  );
  expect(read("hello")).toThrow(
    String.raw`json: cannot unmarshal string into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`,
  );
  expect(read(null)).toThrow("webhook response was absent");
  expect(read({ ...review({}), response: [] })).toThrow(
    "json: cannot unmarshal array into Go struct field AdmissionReview.response of type v1.AdmissionResponse",
  );
  for (const [field, value, kind, type] of [
    ["uid", 1, "number", "types.UID"],
    ["allowed", "true", "string", "bool"],
    ["warnings", "x", "string", "[]string"],
    ["warnings", [1], "number", "string"],
    ["auditAnnotations", { a: 1 }, "number", "string"],
    ["status", "x", "string", "v1.Status"],
    ["patch", 1, "number", "[]uint8"],
  ] as const)
    expect(read(review({ [field]: value }))).toThrow(
      `json: cannot unmarshal ${kind} into Go struct field AdmissionResponse.response.${field} of type ${type}`,
    );
  expect(read(review({ patch: "%%%", patchType: "JSONPatch" }))).toThrow("illegal base64 data at input byte 0");
  expect(read(review({ patch: base64("[]"), patchType: "" }))).toThrow(
    'webhook returned invalid response.patchType of ""',
  );
});

test("what a v1beta1 answer leaves out is taken as asked for", () => {
  const response = { allowed: true };
  expect(answerOf({ response }, "v1beta1", "1", false).allowed).toBe(true);
  expect(() => answerOf({ apiVersion: "admission.k8s.io/v1", response }, "v1beta1", "1", false)).toThrow(
    "converting (v1.AdmissionReview) to (v1beta1.AdmissionReview): unknown conversion",
  );
});
