import { expect, test } from "bun:test";
import { FunctionTable } from "./functions.ts";
import { kubernetesLibrary } from "./kubernetes-library.ts";
import { Program } from "./program.ts";
import { parseRequestUrl, splitHostPort, UrlFault } from "./request-url.ts";
import answers from "./request-urls.json";
import { standardLibrary } from "./standard-library.ts";
import { toJson } from "./values.ts";

/** What Go 1.26's net/url says of each: scheme, host, host name, port and escaped path, and the query; or its fault. */
interface Answer {
  readonly text: string;
  readonly fault?: string;
  readonly url?: readonly string[];
  readonly query?: Readonly<Record<string, readonly string[]>>;
}

function read(text: string): Omit<Answer, "text"> {
  try {
    const { scheme, host, escapedPath, query } = parseRequestUrl(text);
    const { hostname, port } = splitHostPort(host);
    const url = [scheme, host, hostname, port, escapedPath];
    return query.size === 0 ? { url } : { url, query: Object.fromEntries(query) };
  } catch (error) {
    if (error instanceof UrlFault) return { fault: error.message };
    throw error;
  }
}

for (const { text, ...answer } of answers as readonly Answer[]) {
  test(`a URL is read as by Go: ${JSON.stringify(text)}`, () => expect(read(text)).toEqual(answer));
}

test("expressions read URLs so, and say what is wrong with them", () => {
  const functions = new FunctionTable(standardLibrary, kubernetesLibrary);
  const evaluate = (source: string): unknown =>
    toJson(Program.compile(source, { variables: new Map(), functions }).run(() => undefined, 100_000));
  expect(evaluate("[isURL('mailto:x'), isURL('https://h:abc'), isURL('/a b')]")).toEqual([true, false, true]);
  expect(evaluate("url('https://u@[::1]:80/a b?k=1&k=2').getHost()")).toBe("[::1]:80");
  expect(evaluate("url('https://h/a b?k=1&k=2').getEscapedPath()")).toBe("/a%20b");
  expect(evaluate("url('https://h/?k=1&k=2').getQuery()")).toEqual({ k: ["1", "2"] });
  expect(evaluate("format.uri().validate('a b').value()")).toEqual(['parse "a b": invalid URI for request']);
  expect(() => evaluate("url('a\\nb').getHost()")).toThrow(
    'URL parse error during conversion from string: parse "a\\nb": net/url: invalid control character in URL',
  );
});
