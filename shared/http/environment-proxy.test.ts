/** Against what Go's httpproxy gives for the same. */
import { expect, test } from "bun:test";
import { keepLoopbackDirect, proxyFor } from "./environment-proxy.ts";

const asked = [
  "https://a.example.com/",
  "https://example.com/",
  "https://badexample.com/",
  "https://a.example.com:8443/",
  "https://10.1.2.3/",
  "https://10.1.2.3:8443/",
  "https://[fd00::1]/",
  "http://a.example.com/",
  "https://localhost/",
  "https://127.0.0.9/",
  "https://[::1]/",
  "https://EXAMPLE.com/",
];

/** Whether each is asked by a proxy, in a row. */
const byProxy = (exceptions: string): string =>
  asked
    .map((url) =>
      proxyFor(new URL(url), { HTTPS_PROXY: "http://p:1", HTTP_PROXY: "q:2", no_proxy: exceptions }) ? "x" : "-",
    )
    .join("");

test.each([
  ["", "xxxxxxxx---x"],
  ["*", "------------"],
  ["example.com", "--x-xxx-----"],
  [".example.com", "-xx-xxx----x"],
  ["*.example.com", "-xx-xxx----x"],
  ["a.example.com:443", "-xxxxxxx---x"],
  ["a.example.com:8443, example.com:80", "xxx-xxx----x"],
  ["10.0.0.0/8", "xxxx--xx---x"],
  ["10.1.2.3:443", "xxxx-xxx---x"],
  ["10.1.2.3", "xxxx--xx---x"],
  ["fd00::/8,[fd00::2]", "xxxxxx-x---x"],
  ["[fd00::1]:443", "xxxxxx-x---x"],
  ["com,,x", "----xxx-----"],
])("except %s", (exceptions, expected) => {
  expect(byProxy(exceptions)).toBe(expected);
});

test("a proxy is of the URL's kind, and one without a scheme is asked by HTTP", () => {
  const of = (url: string, environment: Record<string, string>) => proxyFor(new URL(url), environment)?.href;
  expect(of("https://a/", { https_proxy: "p:3128" })).toBe("http://p:3128/");
  expect(of("https://a/", { HTTPS_PROXY: "https://u:s@p" })).toBe("https://u:s@p/");
  expect(of("https://a/", { HTTP_PROXY: "p" })).toBeUndefined();
  expect(of("http://a/", { HTTP_PROXY: "p" })).toBe("http://p/");
  expect(of("https://a/", { HTTPS_PROXY: "http://" })).toBeUndefined();
});

test("this machine is excepted for the engine's own client too, where there is a proxy", () => {
  const none = { NO_PROXY: "a" };
  keepLoopbackDirect(none);
  expect(none).toEqual({ NO_PROXY: "a" });
  const some: Record<string, string> = { https_proxy: "p", no_proxy: "a" };
  keepLoopbackDirect(some);
  expect(some["NO_PROXY"]).toBe("a,localhost,127.0.0.0/8,::1/128");
});
