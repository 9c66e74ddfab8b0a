/** A webhook that refuses everything must not keep an API server from starting: only through it can the webhook be taken away. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { configMaps, ingressClasses, validatingWebhookConfigurations } from "#shared/api/resources.ts";
import type { ValidatingWebhookConfiguration } from "#shared/api/types/admissionregistration-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { until } from "#shared/testing/until.ts";

setDefaultTimeout(300_000);

const bramble = resolve(import.meta.dir, "../../bramble.ts");

/** Leads to a Service that there is not. */
const broken: ValidatingWebhookConfiguration = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingWebhookConfiguration",
  metadata: { name: "broken" },
  webhooks: [
    {
      name: "broken.example.com",
      rules: [{ operations: ["*"], apiGroups: ["*"], apiVersions: ["*"], resources: ["*/*"] }],
      clientConfig: { service: { namespace: "default", name: "nowhere" } },
      failurePolicy: "Fail",
      sideEffects: "None",
      admissionReviewVersions: ["v1"],
    },
  ],
};

test("an API server starts in a cluster whose webhook refuses everything, and brings its objects once that is gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-refused-"));
  writeFileSync(join(folder, "none.yaml"), "");
  const [port, mqttPort] = [await freePort(), await freePort()];
  const start = (run: string): Bun.Subprocess =>
    Bun.spawn({
      cmd: [
        ...[process.execPath, bramble, "apiserver", `--config=${folder}/none.yaml`, `--data-dir=${folder}/data`],
        ...[
          `--run-dir=${folder}/run`,
          `--write-kubeconfig=${folder}/admin.yaml`,
          `--audit-log-path=${folder}/${run}.audit`,
        ],
        ...[`--audit-policy-file=${folder}/audit.yaml`, `--secure-port=${port}`, `--mqtt-port=${mqttPort}`],
      ],
      stdin: "ignore",
      stdout: Bun.file(join(folder, `${run}.log`)),
      stderr: Bun.file(join(folder, `${run}.log`)),
    });
  const log = (run: string): string => readFileSync(join(folder, `${run}.log`), "utf8");
  const ready = (run: string, server: Bun.Subprocess): Promise<HttpClient> =>
    until(
      "the API server",
      async () => {
        if (server.exitCode !== null) throw new Error(log(run));
        const { servers, credentials } = loadKubeconfig(join(folder, "admin.yaml"));
        const client = new HttpClient({ servers, credentials });
        await client.raw({ method: "GET", path: "/readyz" });
        return client;
      },
      { tell: () => log(run) },
    );
  const writes = { level: "Metadata", users: ["system:apiserver"], verbs: ["create", "update", "patch", "delete"] };
  writeFileSync(
    join(folder, "audit.yaml"),
    JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [writes, { level: "None" }],
    }),
  );
  let server = start("first");
  try {
    let client = await ready("first", server);
    await client.delete(ingressClasses, { name: "bramble" });
    await client.create(validatingWebhookConfigurations, broken);
    const refused = () => client.create(configMaps, { metadata: { name: "x", namespace: "default" } } as never);
    await until("the webhook", () =>
      refused().then(
        () => false,
        () => true,
      ),
    );
    server.kill("SIGTERM");
    await server.exited;

    server = start("second");
    client = await ready("second", server);
    expect(log("second")).toContain("the cluster refuses objects that every cluster has");
    await client.delete(validatingWebhookConfigurations, { name: "broken" });
    await until("the missing object", () => client.get(ingressClasses, { name: "bramble" }).catch(() => undefined));
    server.kill("SIGTERM");
    await server.exited;
    // What was there and as it should be was not written: a webhook of many seconds would make a start take minutes.
    const attempted = readFileSync(join(folder, "second.audit"), "utf8").trim().split("\n");
    const uris = attempted.map((line) => (JSON.parse(line) as { requestURI: string }).requestURI);
    const ensured = /^\/api\/v1\/|\/endpointslices\/|\/customresourcedefinitions\/|\/ingressclasses/;
    expect([...new Set(uris.filter((uri) => ensured.test(uri)))]).toEqual([
      "/apis/networking.k8s.io/v1/ingressclasses",
    ]);
  } finally {
    server.kill("SIGTERM");
    await server.exited;
    rmSync(folder, { recursive: true, force: true });
  }
});
