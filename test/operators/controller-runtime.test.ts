/** The tests that controller-runtime has of itself, unmodified, against Bramble's API server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { ControllerManager } from "../../master/controllers/manager.ts";
import { serviceAccountController } from "../../master/controllers/service-account.ts";
import { adminKubeconfig } from "../support/admin-kubeconfig.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

const cache = process.env["OPERATORS_CACHE"] ?? join(homedir(), ".cache", "bramble-operators");
const packages = ["builder", "client", "cluster", "controller", "handler", "webhook"];
const programOf = (name: string): string => join(cache, name, "suite");

/** False where test/operators/build.sh has not been run: tools/test.sh runs it, and says why where it cannot. */
const canRun = packages.every((name) => existsSync(programOf(name)));

// As the library starts upstream's server for its tests, no controllers are there but the one that lets pods be created; each suite has a server of its own.
describe.skipIf(!canRun).each(packages)("controller-runtime's %s", (name) => {
  let server: SecuredServer;
  let accounts: ControllerManager;
  const folder = mkdtempSync(join(tmpdir(), "controller-runtime-"));
  const kubeconfig = join(folder, "kubeconfig");

  beforeAll(async () => {
    server = await startSecuredServer({ customResources: true });
    accounts = new ControllerManager({
      client: server.admin,
      clientFor: () => server.admin,
      controllers: [serviceAccountController],
    });
    await accounts.start();
    writeFileSync(kubeconfig, await adminKubeconfig(server), { mode: 0o600 });
  });
  afterAll(async () => {
    await accounts.stop();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("finds what it expects", async () => {
    const run = Bun.spawn([programOf(name), "-test.timeout=1200s", "-ginkgo.no-color"], {
      cwd: join(cache, name),
      // Specs that do not say how long they wait would wait for a second, which a busy machine may take.
      env: {
        ...process.env,
        USE_EXISTING_CLUSTER: "true",
        KUBECONFIG: kubeconfig,
        GOMEGA_DEFAULT_EVENTUALLY_TIMEOUT: "120s",
      },
      stdout: "pipe",
      stderr: "ignore",
    });
    const [said] = await Promise.all([new Response(run.stdout).text(), run.exited]);
    expect(said.split("\n").filter((line) => line.includes("[FAIL]"))).toEqual([]);
    expect(said).toMatch(/Ran [1-9]\d* of \d+ Specs/);
    expect(run.exitCode).toBe(0);
  }, 1_260_000);
});
