import { expect, test } from "bun:test";
import { answerOf, checkSteps } from "./admission-review.ts";

const review = (response: object, head: object = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" }) => ({
  ...head,
  response: { uid: "1", allowed: true, ...response },
});
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const patched = (patch: string, patchType = "JSONPatch") =>
  answerOf(review({ patch: base64(patch), patchType }), "v1", "1", true);

test("an answer without a kind is told to be of none", () => {
  expect(() => answerOf(review({}, {}), "v1", "1", false)).toThrow(
    "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
  );
});

test("a patch that cannot be read is the webhook's failure, in upstream's words", () => {
  const undecodable = "received undecodable patch in webhook response";
  expect(() => checkSteps(patched("odd"))).toThrow(
    `${undecodable}: invalid character 'o' looking for beginning of value`,
  );
  expect(() => checkSteps(patched("{}", "Merge"))).toThrow(
    `${undecodable}: json: cannot unmarshal object into Go value of type jsonpatch.Patch`,
  );
  expect(() => checkSteps(patched('[{"op":"add","path":"/a","value":1}]', "Merge"))).toThrow(
    'unsupported patch type "Merge"',
  );
  checkSteps(patched("[]", "Merge"));
  checkSteps(patched('[{"op":"add","path":"/a","value":1}]'));
});
