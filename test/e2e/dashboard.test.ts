import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { lanNamespace } from "#tools/local-cluster/lan.ts";
import { image, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(400_000);

const desktop = { width: 1280, height: 800 };
const phone = { width: 390, height: 844 };
/** BRAMBLE_SCREENSHOTS names a folder for pictures to look at. */
const pictures = process.env["BRAMBLE_SCREENSHOTS"];
const patience_ms = 240_000;

/**
 * A program that runs Chromium on the LAN's switch. It ends all its requests when an interface of its machine comes or
 * goes, and on the machine that runs the tests those of other tests do.
 */
function chromiumOnLan({ cluster }: TestCluster): string {
  const program = join(cluster.dir, "chromium-on-lan");
  const chromiumItself = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  const script = `#!/bin/sh\nexec nsenter --net=/run/netns/${lanNamespace(cluster.lan)} ${chromiumItself} "$@"\n`;
  writeFileSync(program, script, { mode: 0o755 });
  return program;
}

describe("the dashboard in Chromium", () => {
  let it: TestCluster;
  let browser: Browser;
  let origin: string;
  let token: string;
  const complaints: string[] = [];
  const outside: string[] = [];

  beforeAll(async () => {
    it = await startCluster({ name: "e2ed", workers: 1 });
    origin = `https://${it.prefix}.11:6443`;
    it.apply(webApp("web", 2));
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
    const { stdout, code, stderr } = await it.bramble("master-1", "token", "dashboard");
    expect([code, stderr]).toEqual([0, expect.stringContaining("/dashboard/")]);
    token = stdout.trim();
    browser = await chromium.launch({
      executablePath: chromiumOnLan(it),
      args: ["--no-sandbox", "--ignore-certificate-errors"],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await it.stop();
  });

  async function open(
    viewport: { width: number; height: number },
    colorScheme: "light" | "dark" = "light",
  ): Promise<Page> {
    const context = await browser.newContext({ viewport, colorScheme, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(patience_ms);
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(origin) && !/^(data|blob):/.test(url)) outside.push(url);
    });
    await page.goto(`${origin}/dashboard`);
    return page;
  }

  async function signIn(page: Page, given = token): Promise<void> {
    await page.getByLabel("Token, or a kubeconfig").fill(given);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Fleet" }).waitFor();
  }

  async function picture(page: Page, name: string): Promise<void> {
    if (pictures === undefined) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}.png`) });
  }

  async function inPlace(page: Page, link: string): Promise<void> {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: link, exact: true }).click();
  }

  /** The browser itself complains of an answer of 401 or the like; each test that provokes one says so. */
  function forgetRefusals(code: number): void {
    for (let index = complaints.length - 1; index >= 0; index--)
      if (complaints[index]?.includes(`status of ${code}`)) complaints.splice(index, 1);
  }

  test("nothing is seen without a token, and a wrong one is refused with what to do", async () => {
    const page = await open(desktop);
    await picture(page, "sign-in");
    await page.getByLabel("Token, or a kubeconfig").fill("a.b.c");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("does not accept this token").waitFor();
    await page
      .getByLabel("Token, or a kubeconfig")
      .fill("apiVersion: v1\nusers:\n- name: a\n  user:\n    client-certificate-data: eA==\n");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("with a client certificate, which a page cannot show").waitFor();
    forgetRefusals(401);
    const user = (name: string, content: object): object => ({ name, user: content });
    const context = (name: string): object => ({ name, context: { cluster: "home", user: name } });
    const kubeconfig = {
      ...{ apiVersion: "v1", kind: "Config", "current-context": "program" },
      contexts: [context("program"), context("me")],
      users: [user("program", { exec: { command: "aws" } }), user("me", { token })],
    };
    await page.getByLabel("Token, or a kubeconfig").fill(JSON.stringify(kubeconfig));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("by the program aws, which a page cannot run").waitFor();
    await picture(page, "sign-in-program");
    const sent: string[] = [];
    page.on("request", (request) => sent.push(request.postData() ?? ""));
    await page.getByLabel("Open a kubeconfig…").setInputFiles({
      name: "config",
      mimeType: "application/yaml",
      buffer: Buffer.from(JSON.stringify({ ...kubeconfig, "current-context": "me" })),
    });
    await page.getByRole("heading", { name: "Fleet" }).waitFor();
    expect(sent.filter((body) => body.includes("current-context"))).toEqual([]);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token, or a kubeconfig").waitFor();
    expect(await page.context().cookies()).toEqual([]);
    await page.context().close();
  });

  test("the page is served with a strict policy", async () => {
    const answer = await fetch(`${origin}/dashboard/`, { tls: { rejectUnauthorized: false } });
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(answer.headers.get("x-frame-options")).toBe("DENY");
    expect(answer.headers.get("set-cookie")).toBeNull();
    expect((await fetch(`${origin}/dashboard/../etc/passwd`, { tls: { rejectUnauthorized: false } })).status).not.toBe(
      200,
    );
  });

  test("the fleet, a board with charts, and a board that takes no new pods", async () => {
    const page = await open(desktop);
    await signIn(page);
    const card = page.getByRole("article").filter({ hasText: "worker-1" });
    await card.getByText("Ready", { exact: true }).waitFor();
    await page.getByText(/heard \d+s ago/).waitFor();
    await card
      .getByText(/of \d.*GiB/)
      .first()
      .waitFor();
    await picture(page, "fleet");
    await page.getByRole("link", { name: "worker-1" }).click();
    await page.getByRole("img", { name: /^CPU of worker-1: \d/ }).waitFor();
    // What the board itself has kept, not only what the page has seen.
    await it.until(/^[2-9]/, "get", "boardhistory", "worker-1", "-o", "jsonpath={.status.samples[1].diskBytes}");
    await page.getByRole("img", { name: /^Disk of worker-1: \d/ }).waitFor();
    await page.getByText("As a table").click();
    await page.getByRole("columnheader", { name: "Received" }).waitFor();
    await page.getByRole("button", { name: "Cordon" }).click();
    await page.locator(".chip").getByText("Takes no new pods").waitFor();
    await picture(page, "board");
    await page.getByRole("button", { name: "Uncordon" }).click();
    await page.locator(".chip").getByText("Takes no new pods").waitFor({ state: "detached" });
    await page.context().close();
  });

  test("a workload is scaled and restarted", async () => {
    const page = await open(desktop);
    await signIn(page);
    await inPlace(page, "Workloads");
    const line = page.getByRole("row").filter({ hasText: "web" });
    await line.getByText("2/2").waitFor();
    await picture(page, "workloads");
    await line.getByRole("button", { name: "Scale web" }).click();
    await page.getByLabel("Replicas of this Deployment").fill("3");
    await picture(page, "scale");
    await page.getByRole("dialog").getByRole("button", { name: "Scale" }).click();
    await line.getByText("3/3").waitFor();
    await line.getByRole("button", { name: "Restart web" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Restart" }).click();
    await it.until(
      /\d/,
      "get",
      "deployment",
      "web",
      "-o",
      "jsonpath={.spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt}",
    );
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
    await page.getByRole("link", { name: "web", exact: true }).click();
    await page.getByRole("region", { name: "pods" }).getByText("Running").first().waitFor();
    await picture(page, "workload");
    await page.context().close();
  });

  test("a pod's log, a shell in it, its events; and it is deleted", async () => {
    const page = await open(desktop, "dark");
    await signIn(page);
    await inPlace(page, "Pods");
    await page.getByRole("searchbox", { name: "Search" }).fill("web-");
    // Pods of before the restart may still be ending.
    const names = await it.until(
      (output) => output.split(" ").length === 3,
      ...["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}"],
    );
    const [name = ""] = names.split(" ");
    await page.getByRole("link", { name }).waitFor();
    await picture(page, "pods-dark");
    await page.getByRole("link", { name }).click();
    const parts = page.getByRole("navigation", { name: /^Parts of/ });
    await parts.getByRole("link", { name: "Logs" }).click();
    await page.getByRole("region", { name: "Log" }).getByText("started").waitFor();
    await picture(page, "log-dark");
    await parts.getByRole("link", { name: "Terminal" }).click();
    await page.getByText(/A shell in web/).waitFor();
    await page.locator(".xterm-rows").getByText("~ #").waitFor();
    await page.locator(".xterm").click();
    await page.keyboard.type("echo from-$((6*7))\n");
    await page.locator(".xterm-rows").getByText("from-42", { exact: true }).waitFor();
    await picture(page, "terminal-dark");
    await page.keyboard.type("exit\n");
    await page.getByRole("button", { name: "Open another" }).waitFor();
    await parts.getByRole("link", { name: "Events" }).click();
    await page.getByText("Scheduled").waitFor();
    await page.getByRole("button", { name: /^Delete/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "Pods" }).waitFor();
    await it.until((output) => !output.includes(name), "get", "pods");
    await page.context().close();
  });

  test("YAML is checked and saved by the API server; an object is made and removed", async () => {
    const page = await open(desktop);
    await signIn(page);
    await inPlace(page, "Create");
    await page.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByRole("heading", { name: "greeting" }).waitFor();
    const parts = page.getByRole("navigation", { name: /^Parts of/ });
    await parts.getByRole("link", { name: "YAML" }).click();
    const field = page.getByLabel("YAML of the object");
    await page.waitForFunction(() => document.querySelector("textarea")?.value.includes("hello: world"));
    const yaml = await field.inputValue();
    expect(yaml).not.toContain("managedFields");
    await field.fill(yaml.replace("\ndata:", "\ndada:\n  x: y\ndata:"));
    await page.getByRole("button", { name: "Check only" }).click();
    await page.getByText(/unknown field "dada"/).waitFor();
    forgetRefusals(400);
    await picture(page, "yaml-refused");
    await page.getByRole("button", { name: /^Go to line/ }).click();
    const selected = await field.evaluate((element) => {
      const { value, selectionStart, selectionEnd } = element as HTMLTextAreaElement;
      return value.slice(selectionStart, selectionEnd);
    });
    expect(selected).toBe("dada:");
    await field.fill(yaml.replace("hello: world", "hello: [world"));
    await page.getByRole("button", { name: "Check only" }).click();
    await page.getByRole("heading", { name: "This is no YAML" }).waitFor();
    await picture(page, "yaml-broken");
    await field.fill(yaml.replace("hello: world", "hello: fleet"));
    await page.getByRole("button", { name: "Check only" }).click();
    await page.getByText("Nothing was changed").waitFor();
    expect(it.kubectl("get", "configmap", "greeting", "-o", "jsonpath={.data.hello}")).toBe("world");
    await page.getByRole("button", { name: "Save" }).click();
    await it.until(/^fleet$/, "get", "configmap", "greeting", "-o", "jsonpath={.data.hello}");
    await inPlace(page, "All kinds");
    await page.getByRole("link", { name: "ConfigMap", exact: true }).click();
    await page.getByRole("link", { name: "greeting" }).waitFor();
    await inPlace(page, "Events");
    // Only rows that are in sight are in the page, the newest first: how many came since is anybody's guess.
    await page.getByRole("searchbox", { name: "Search" }).fill("replica set web-");
    await page.getByText("ScalingReplicaSet").first().waitFor();
    await picture(page, "events");
    await page.context().close();
  });

  test("who may see one namespace sees that one, and is told so of the rest", async () => {
    it.kubectl("create", "serviceaccount", "viewer");
    it.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", "--serviceaccount=default:viewer");
    const page = await open(desktop);
    await page.getByLabel("Token, or a kubeconfig").fill(it.kubectl("create", "token", "viewer").trim());
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "You may not see the fleet" }).waitFor();
    await inPlace(page, "Pods");
    await page.getByRole("heading", { name: "You may not see pods" }).waitFor();
    await picture(page, "forbidden");
    await page.getByLabel("Namespace").fill("default");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: /^web-/ }).first().waitFor();
    forgetRefusals(403);
    await page.context().close();
  });

  test("pods are found by a label, and a board is drained after a question", async () => {
    it.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "alone" },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "rest", image, command: ["sleep", "100000"] }] },
    });
    it.kubectl("wait", "pod/alone", "--for=condition=Ready", "--timeout=180s");
    const page = await open(desktop, "dark");
    await signIn(page);
    await inPlace(page, "Pods");
    await page.getByRole("link", { name: "alone" }).waitFor();
    await page.getByRole("searchbox", { name: "Search" }).fill("app=web");
    await page.getByRole("link", { name: "alone" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: /^web-/ }).first().waitFor();
    await page.getByRole("searchbox", { name: "Search" }).fill("");
    const before = it.kubectl("get", "pods", "-l", "app=web", "-o", "name").trim().split("\n");
    await inPlace(page, "Fleet");
    await page.getByRole("link", { name: "worker-1" }).click();
    const drain = async (): Promise<void> => {
      await page.getByRole("button", { name: "Drain" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Drain" }).click();
    };
    await drain();
    // Nobody would make that pod again.
    await page.getByText("alone belong to no controller").waitFor();
    await picture(page, "drain-refused-dark");
    await page.getByRole("dialog").getByRole("button", { name: "Leave it" }).click();
    it.kubectl("delete", "pod", "alone");
    await drain();
    await page.getByText("worker-1 is drained").waitFor();
    await it.until(
      (output) => before.every((name) => !output.includes(name)),
      ...["get", "pods", "-l", "app=web", "-o", "name"],
    );
    await page.getByRole("button", { name: "Uncordon" }).click();
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
    await page.context().close();
  });

  test("on a phone nothing is cut off, and by keyboard all is reached", async () => {
    const page = await open(phone, "dark");
    await picture(page, "phone-sign-in");
    const right = await page.locator(".sign-in .card").evaluate((card) => card.getBoundingClientRect().right);
    expect(right).toBeLessThanOrEqual(phone.width);
    await signIn(page);
    await page.getByText(/heard \d+s ago/).waitFor();
    await picture(page, "phone-fleet");
    for (const place of ["Workloads", "Pods", "Events", "All kinds", "Create", "Fleet"]) {
      await inPlace(page, place);
      await page.getByRole("heading", { level: 1 }).first().waitFor();
      await page.waitForTimeout(700);
      await picture(page, `phone-${place.toLowerCase().replace(" ", "-")}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect([place, overflow]).toEqual([place, 0]);
    }
    await page.reload();
    await page.getByRole("heading", { name: "Fleet" }).waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("MAIN");
    await page.keyboard.press("/");
    expect(await page.evaluate(() => (document.activeElement as HTMLInputElement | null)?.type)).toBe("search");
    await page.context().close();
  });

  test("the browser had nothing to complain of, and nothing was asked of anybody else", () => {
    expect(complaints).toEqual([]);
    expect(outside).toEqual([]);
  });
});
