import { describe, expect, test } from "bun:test";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { proxiedLink, proxiedPage } from "./page-links.ts";

const place = { root: "/api/v1/namespaces/a/pods/b:80/proxy", hosts: ["10.42.0.7:80", "127.0.0.1:8001"] };

describe("a link on a proxied page", () => {
  test("to the server's root leads to the proxy's", () => {
    expect(proxiedLink("/", place)).toBe(`${place.root}/`);
    expect(proxiedLink("/a/../b/?q=/c#d", place)).toBe(`${place.root}/b/?q=/c#d`);
    expect(proxiedLink("http://10.42.0.7:80/a", place)).toBe(`${place.root}/a`);
    expect(proxiedLink("//127.0.0.1:8001/a", place)).toBe(`${place.root}/a`);
  });

  test("to elsewhere, or relative, or through the proxy already stays as it is", () => {
    for (const link of ["a/b", "../a", "?q=1", "#d", "", "mailto:a@b", "https://example.com/a", `${place.root}/a`])
      expect(proxiedLink(link, place)).toBe(link);
  });
});

async function read(body: Readable | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body ?? []) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

const page = '<!doctype html>\n<IMG src=/x.png alt="/x"><a href="/a?b=1&amp;c=2">/a</a><script src="y.js"></script>é';
const expected = `<!doctype html>\n<IMG src="${place.root}/x.png" alt="/x"><a href="${place.root}/a?b=1&amp;c=2">/a</a><script src="y.js"></script>é`;

describe("a proxied page", () => {
  test("has its links changed and nothing else", async () => {
    const body = Readable.from([Buffer.from(page.slice(0, 30)), Buffer.from(page.slice(30))]);
    expect((await read(proxiedPage(body, "", place))).toString()).toBe(expected);
    expect((await read(proxiedPage(Readable.from([]), "", place))).length).toBe(0);
  });

  test("is read through its encoding, where that is known", async () => {
    const packed = proxiedPage(Readable.from([gzipSync(page)]), "gzip", place);
    expect(gunzipSync(await read(packed)).toString()).toBe(expected);
    expect(proxiedPage(Readable.from([]), "br", place)).toBeUndefined();
  });

  const link = '<a href="/a">';
  const shown = `<a href="${place.root}/a">`;
  const pageOf = async (...parts: readonly string[]): Promise<string> =>
    (await read(proxiedPage(Readable.from(parts.map((part) => Buffer.from(part))), "", place))).toString();

  test("stays as it is from a tag on that has no end", async () => {
    const endless = Array.from({ length: 200 }, () => "x >y".repeat(4096));
    for (const begin of ['<a href="', "<a b c = '", '</a x="', '<a b="c" d="'])
      expect(await pageOf(link, begin, ...endless, link)).toBe(`${shown}${begin}${endless.join("")}${link}`);
    for (const begin of ["", "<a ", "<a b=\"c\" d='e'>", "a < b", "<1"])
      expect(await pageOf(link, begin, ...endless, link)).toBe(`${shown}${begin}${endless.join("")}${shown}`);
  });

  test("costs the same however many elements are open, and is changed to its end", async () => {
    const open = "<div>".repeat(100_000);
    const unmatched = "</x>".repeat(100_000);
    expect(await pageOf(link, open, unmatched, link)).toBe(`${shown}${open}${unmatched}${shown}`);
  });

  test("has a script's text end where the standard has it end, comments in it or not", async () => {
    const scripts = [
      "<script>x</script>",
      "<script><!-- </script>",
      "<script><!-- <script> </script> </script>",
      "<script><!-- <script> </script> --> </script>",
      "<script><!-- <SCRIPT/a> </scripts> <script> </Script\n> x </script>",
      "<script><!-- <script> --> </script>",
      "<script><!-- <scripts> </script>",
      "<script><!--> <script> </script>",
      "<script><!---> <script> </script>",
      "<script><!-- --> <!-- <script> <!-- </script> a </script>",
      "<style><!-- <style> </style>",
    ];
    for (const script of scripts) {
      const inside = script.replace(/<\/(script|style)>$/, (end) => `${link}${end}`);
      for (const cut of [inside.length, 1, 5])
        expect(await pageOf(...((inside + link).match(new RegExp(`[^]{1,${cut}}`, "g")) ?? []))).toBe(inside + shown);
    }
    // Nothing has ended the script yet.
    for (const open of ["<script><!-- <script> </script>", "<script><!-- <script> </script> <script> </script>"])
      expect(await pageOf(open, link)).toBe(open + link);
  });

  test("comes to the same in whatever pieces it comes", async () => {
    const parts = [
      '<a b href = \'/a"\' href="/b">',
      '<!-- <a href="/a"> --><!--><a href=/a>',
      '<script>"<a href=\'/a\'>" </scripty></SCRIPT\n><a href="/a"/>',
      "<? <a href='/a'><a/href='/a'><a x=y=\" href='/a'>",
      '</a href="/a"><textarea><a href="/a"></textarea><a\nHREF=/a/b>',
      '<title></title><a =href="/a" href="/c"><a href><a href=><p href="/a"></',
    ];
    const changed = [
      `<a b href = '${place.root}/a"' href="/b">`,
      `<!-- <a href="/a"> --><!--><a href="${place.root}/a">`,
      `<script>"<a href='/a'>" </scripty></SCRIPT\n><a href="${place.root}/a"/>`,
      `<? <a href='/a'><a/href='${place.root}/a'><a x=y=" href='${place.root}/a'>`,
      `</a href="/a"><textarea><a href="/a"></textarea><a\nHREF="${place.root}/a/b">`,
      `<title></title><a =href="/a" href="${place.root}/c"><a href><a href=><p href="/a"></`,
    ];
    const [whole, expected] = [parts.join(""), changed.join("")];
    expect(await pageOf(whole)).toBe(expected);
    expect(await pageOf(...whole)).toBe(expected);
    for (let at = 1; at < whole.length; at += 1)
      expect(await pageOf(whole.slice(0, at), whole.slice(at))).toBe(expected);
  });

  test("ends with what it is made of", async () => {
    const body = Readable.from([Buffer.from(link), Buffer.from(link)]);
    proxiedPage(body, "", place)?.on("data", () => undefined);
    await new Promise((resolve) => body.once("close", resolve));
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from(link);
      throw new Error("the pod has gone");
    };
    await expect(read(proxiedPage(Readable.from(failing()), "", place))).rejects.toThrow("the pod has gone");
    const left = Readable.from([Buffer.from(link), Buffer.from(link)]);
    const page = proxiedPage(left, "", place);
    page?.once("data", () => page.destroy());
    await new Promise((resolve) => left.once("close", resolve));
  });
});
