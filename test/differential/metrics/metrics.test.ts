/** Every metric of upstream's API server is here under its name, with its type and labels, or absent.ts says why not. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { absent, differing } from "./absent.ts";
import { familiesIn, type SeenFamily } from "./requests.ts";

const recorded = JSON.parse(readFileSync(join(import.meta.dir, "families.json"), "utf8")) as Record<string, SeenFamily>;
const reasonOf = (name: string): string | undefined =>
  absent.find(({ names }) =>
    names.some((each) => (each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : name === each)),
  )?.why;

/** In a process of its own: what other tests of this one did would be counted too. */
const page = await printed("own-page.ts");

async function printed(script: string): Promise<string> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, script)], { stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${script} failed`);
  return text;
}

test("what upstream has is here, or it is said why not", () => {
  const own = familiesIn(page);
  const missing = Object.keys(recorded).filter((name) => !own[name] && reasonOf(name) === undefined);
  expect(missing).toEqual([]);
  const needless = Object.keys(recorded).filter((name) => own[name] && reasonOf(name) !== undefined);
  expect(needless).toEqual([]);
});

test("types and labels are upstream's", () => {
  const own = familiesIn(page);
  const others = Object.entries(recorded).flatMap(([name, family]) => {
    const here = own[name];
    return here && !Bun.deepEquals(here, family) && !differing[name] ? [[name, here, family]] : [];
  });
  expect(others).toEqual([]);
});

test("what was asked is counted", () => {
  const counted = (name: string, labels: string): number => {
    const line = page.split("\n").find((each) => each.startsWith(`${name}{`) && each.includes(`{${labels}`));
    return Number(line?.slice(line.lastIndexOf(" ")));
  };
  const read = 'verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="namespace"';
  expect(counted("apiserver_response_sizes_count", read)).toBe(1);
  expect(counted("apiserver_response_sizes_sum", read)).toBeGreaterThan(100);
  const writes = 'group="",resource="configmaps",verb="create"';
  expect(counted("apiserver_request_body_size_bytes_count", writes)).toBe(2);
  expect(counted("etcd_requests_total", 'group="",resource="configmaps",operation="delete"')).toBe(1);
  expect(counted("etcd_requests_total", 'group="metrics.example.org",resource="widgets",operation="create"')).toBe(1);
  const step = 'operation="DELETE",rejected="false",type="admit"';
  expect(counted("apiserver_admission_step_admission_duration_seconds_count", step)).toBeGreaterThan(0);
  const summary = "apiserver_admission_step_admission_duration_seconds_summary";
  expect(counted(summary, `${step},quantile="0.9"`)).toBeGreaterThan(0);
  expect(counted("apiserver_watch_events_sizes_count", 'group="",version="v1",resource="namespaces"')).toBeGreaterThan(
    3,
  );
  const privileged = 'decision="allow",mode="enforce",policy_level="privileged",policy_version="latest"';
  expect(counted("pod_security_evaluations_total", privileged)).toBe(1);
  for (const what of ["compilation", "evaluation"])
    expect(page).toMatch(new RegExp(`^apiserver_cel_${what}_duration_seconds_count [1-9]`, "m"));
  expect(page).toMatch(/^authentication_attempts\{result="failure"\} 1$/m);
});

test("no reason is given for what upstream does not have", () => {
  const names = Object.keys(recorded);
  const idle = absent
    .flatMap((each) => each.names)
    .filter((name) => !names.some((each) => (name.endsWith("*") ? each.startsWith(name.slice(0, -1)) : each === name)));
  expect(idle).toEqual([]);
  expect(Object.keys(differing).filter((name) => !names.includes(name))).toEqual([]);
});
