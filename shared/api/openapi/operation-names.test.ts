import { expect, test } from "bun:test";
import { identifierOf, tagOf } from "./operation-names.ts";

test("a group's words are parted by all that no identifier may have", () => {
  const version = { group: "acme.cert-manager.example.com", version: "v1" };
  expect(identifierOf(version)).toBe("AcmeCertManagerExampleComV1");
  expect(tagOf(version)).toBe("acmeCertManagerExampleCom_v1");
  expect(tagOf({ group: "rbac.authorization.k8s.io", version: "v1" })).toBe("rbacAuthorization_v1");
});
