import { describe, expect, test } from "bun:test";
import { endpointSlices, services } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { BoardEndpoints, type BoardView, correctedSlice } from "./board-endpoints.ts";

const endpoint = (uid: string, ip: string, nodeName: string, more: Partial<Endpoint> = {}): Endpoint => ({
  addresses: [ip],
  nodeName,
  targetRef: { kind: "Pod", uid },
  conditions: { ready: true, serving: true, terminating: false },
  ...more,
});
const slice = (...endpoints: Endpoint[]): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { namespace: "default", name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
  addressType: "IPv4",
  endpoints,
  ports: [],
});
const view = (isAway: boolean, pods: Record<string, { ips: string[]; ready: boolean }>): BoardView => ({
  nodeName: "here",
  isAway,
  ownPod: (uid) => pods[uid],
});
const brief = ({ endpoints = [] }: EndpointSlice): string[] =>
  endpoints.map(({ addresses, conditions }) => `${addresses} ${conditions?.ready} ${conditions?.serving}`);

describe("a slice as the board knows it", () => {
  const given = slice(endpoint("a", "10.42.1.2", "here"), endpoint("b", "10.42.2.2", "there"));

  test("is the master's while nothing differs", () => {
    const pods = { a: { ips: ["10.42.1.2"], ready: true } };
    expect(correctedSlice(given, view(true, pods), false)).toBe(given);
    // The master may know better whether a pod is to serve.
    expect(correctedSlice(given, view(false, { a: { ips: ["10.42.1.2"], ready: false } }), false)).toBe(given);
  });

  test("has the new address of a pod, also while the master has not heard of it", () => {
    const pods = { a: { ips: ["10.42.1.9"], ready: true } };
    for (const isAway of [true, false])
      expect(brief(correctedSlice(given, view(isAway, pods), false))).toEqual([
        "10.42.1.9 true true",
        "10.42.2.2 true true",
      ]);
  });

  test("leaves out, while the master is away, what fails here, and what is not here", () => {
    const failing = { a: { ips: ["10.42.1.2"], ready: false } };
    expect(brief(correctedSlice(given, view(true, failing), false))[0]).toBe("10.42.1.2 false false");
    expect(brief(correctedSlice(given, view(true, {}), false))[0]).toBe("10.42.1.2 false false");
    expect(correctedSlice(given, view(false, {}), false)).toBe(given);
  });

  test("brings back what has become ready, unless it is ending", () => {
    const off = { ready: false, serving: false, terminating: false };
    const pods = { a: { ips: ["10.42.1.2"], ready: true } };
    const unready = slice(endpoint("a", "10.42.1.2", "here", { conditions: off }));
    expect(brief(correctedSlice(unready, view(true, pods), false))).toEqual(["10.42.1.2 true true"]);
    const ending = slice(endpoint("a", "10.42.1.2", "here", { conditions: { ...off, terminating: true } }));
    expect(brief(correctedSlice(ending, view(true, pods), false))).toEqual(["10.42.1.2 false true"]);
  });

  test("keeps to a Service that publishes pods that are not ready", () => {
    const pods = { a: { ips: ["10.42.1.2"], ready: false } };
    expect(brief(correctedSlice(given, view(true, pods), true))[0]).toBe("10.42.1.2 true false");
  });

  test("says nothing of endpoints that are no pods of this board", () => {
    const byHand = slice({ addresses: ["192.0.2.7"], nodeName: "here" });
    expect(correctedSlice(byHand, view(true, {}), false)).toBe(byHand);
  });
});

test("corrections stand in the cache while the master is away, and go when the pod is as the master has it", async () => {
  const informers = new InformerFactory(
    {
      watch() {
        throw new ConnectionError("away");
      },
    } as unknown as Client,
    {
      checkpoint: {
        keeps: () => true,
        load: (name) => Promise.resolve(name.includes("slices") ? [slice(endpoint("a", "10.42.1.2", "here"))] : []),
        changed: () => undefined,
      },
    },
  );
  let ip = "10.42.1.2";
  const pods = (): Pod[] => [
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { uid: "a" },
      spec: { containers: [] },
      status: { podIP: ip, conditions: [{ type: "Ready", status: "True" }] },
    },
  ];
  const board = new BoardEndpoints({ informers, nodeName: "here", pods, isAway: () => true });
  const slices = informers.informer(endpointSlices);
  informers.informer(services);
  board.start();
  informers.start();
  await slices.usable;
  const until = async (address: string): Promise<void> => {
    while (slices.lister.list()[0]?.endpoints?.[0]?.addresses[0] !== address) await Bun.sleep(5);
  };
  ip = "10.42.1.9";
  board.prompt();
  await until("10.42.1.9");
  ip = "10.42.1.2";
  board.prompt();
  await until("10.42.1.2");
  await board.stop();
  await informers.stop();
});
