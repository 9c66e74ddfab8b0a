import { expect, test } from "bun:test";
import { startTestServer } from "../../../test/support/apiserver.ts";
import { StartSteps } from "./start-steps.ts";

const hook = "poststarthook/rbac/bootstrap-roles";

test("a step is told of from when it is begun, under upstream's names, and is finished once its work has succeeded", async () => {
  const steps = new StartSteps();
  expect(steps.checks(false)).toEqual({});
  let isRefused = true;
  const ensure = steps.tracked("roles", async () => {
    if (isRefused) throw new Error("a webhook is away");
  });
  const checks = [steps.checks(false), steps.checks(true)] as const;
  for (const check of checks) expect(Object.keys(check)).toEqual([hook]);
  const [readiness, liveness] = checks.map((check) => check[hook]);
  await expect(readiness?.()).rejects.toThrow("not finished");
  await expect(liveness?.()).rejects.toThrow("not finished");
  await expect(ensure()).rejects.toThrow("a webhook is away");
  await expect(readiness?.()).rejects.toThrow("not finished");
  // To start the process anew would mend nothing.
  await liveness?.();
  isRefused = false;
  await ensure();
  await readiness?.();
});

test("what is done once stays done", async () => {
  const steps = new StartSteps();
  steps.done("roles");
  steps.begin("roles");
  await expect(steps.tracked("roles", () => Promise.reject(new Error("refused")))()).rejects.toThrow("refused");
  await steps.checks(false)[hook]?.();
});

test("a server's pages tell of its steps; names with slashes lead to one of them", async () => {
  const server = await startTestServer();
  const page = async (path: string): Promise<[number, string]> => {
    const response = await server.fetch(path);
    return [response.status, await response.text()];
  };
  try {
    const { health } = server.api;
    const shown = [
      "[+]ping ok",
      "[+]log ok",
      "[+]etcd ok",
      "[+]watch-cache ok",
      "[+]poststarthook/start-apiserver-admission-initializer ok",
      "[+]poststarthook/generic-apiserver-start-informers ok",
      "[+]poststarthook/priority-and-fairness-config-consumer ok",
    ];
    expect(await page("/livez?verbose")).toEqual([200, `${shown.join("\n")}\nlivez check passed\n`]);
    health.steps.begin("roles");
    expect(await page(`/readyz/${hook}`)).toEqual([500, "internal server error: not finished\n"]);
    expect(await page(`/healthz?exclude=${hook}`)).toEqual([200, "ok"]);
    expect((await page("/livez"))[1]).toContain(`[-]${hook} failed: reason withheld\nlivez check failed\n`);
    health.steps.done("roles");
    expect(await page(`/livez/${hook}`)).toEqual([200, "ok"]);
    expect(await page("/livez/poststarthook")).toEqual([404, "404 page not found\n"]);
    const { paths } = (await (await server.fetch("/")).json()) as { paths: string[] };
    expect(paths).toContain(`/readyz/${hook}`);
    health.state = "stopping";
    expect(await page("/readyz/shutdown")).toEqual([500, "internal server error: process is shutting down\n"]);
    expect(await page("/readyz/informer-sync")).toEqual([200, "ok"]);
    expect(await page("/livez")).toEqual([200, "ok"]);
  } finally {
    await server.stop();
  }
});
