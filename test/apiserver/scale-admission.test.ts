import { afterAll, beforeAll, expect, test } from "bun:test";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { deployments } from "#shared/api/resources.ts";
import type { Deployment } from "#shared/api/types/apps-v1.generated.ts";
import type { AdmissionPlugin } from "../../master/apiserver/admission/admission.ts";
import { putBack, shownAs } from "../../master/apiserver/admission/matching.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

/** What a mutating webhook with a rule for `deployments/scale` does. */
const atMostThree: AdmissionPlugin = {
  name: "AtMostThree",
  async mutate(attributes) {
    if (attributes.subresource !== "scale") return;
    const match = { resource: attributes.resource, group: "apps", version: "v1", plural: "deployments" };
    const scale = await shownAs(attributes, match, attributes.object);
    if (!scale) return;
    const { replicas } = fieldsOf(scale)["spec"] as { replicas: number };
    shown.push(`${scale.kind} ${replicas}`);
    await putBack(attributes, match, scale, { ...scale, spec: { replicas: Math.min(replicas, 3) } } as KubeObject);
  },
};
const shown: string[] = [];

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ namespaces: ["test"], guards: () => ({ admission: [atMostThree] }) });
});
afterAll(() => server.stop());

test("admission is shown a Scale, and may change it", async () => {
  const labels = { app: "web" };
  await server.client.create(deployments, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "test" },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "example.com/c" }] } },
    },
  } as Deployment);
  const { stdout, stderr } = await server.kubectl(["-n", "test", "scale", "deployment/web", "--replicas=9"]);
  expect([stderr, stdout]).toEqual(["", "deployment.apps/web scaled\n"]);
  expect(shown).toEqual(["Scale 9"]);
  const { spec } = await server.client.get(deployments, { namespace: "test", name: "web" });
  expect(spec?.replicas).toBe(3);
});
