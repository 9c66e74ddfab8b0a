import { expect, test } from "bun:test";
import { decodeJson, encodeJson } from "#shared/api/codec/json.ts";
import { replicaSets } from "#shared/api/resources.ts";
import type { ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import { podFromTemplate } from "./pod-control.ts";

test("a pod is a copy of its template, numbers included that a double does not hold", () => {
  const text = '{"terminationGracePeriodSeconds":9007199254740993,"containers":[{"name":"a","image":"a"}]}';
  const spec = decodeJson(text).value;
  const owner = {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "web", namespace: "default", uid: "1" },
    spec: { selector: {}, template: { spec } },
  } as unknown as ReplicaSet;
  const pod = podFromTemplate({ spec } as never, replicaSets, owner);
  expect(encodeJson(pod.spec)).toBe(text);
  expect(pod.spec).not.toBe(spec as never);
});
