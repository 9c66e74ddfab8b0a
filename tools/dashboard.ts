/** Builds the dashboard's page into one file that goes into the binary. `bun tools/dashboard.ts` */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack, packFileName } from "../master/dashboard/page-pack.ts";

const root = join(import.meta.dir, "..");
const folder = join(root, "master/dashboard/page");

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

const built = await Bun.build({
  entrypoints: [join(folder, "main.tsx"), join(folder, "style.css")],
  target: "browser",
  splitting: true,
  minify: true,
  naming: { entry: "[name].[ext]", chunk: "[name]-[hash].[ext]", asset: "[name].[ext]" },
  define: { "process.env.NODE_ENV": '"production"' },
});
const outputs = await Promise.all(
  built.outputs.map(async (output) => ({
    path: basename(output.path),
    content: Buffer.from(await output.arrayBuffer()),
  })),
);
const whole = ["index.html", "icon.svg"].map((path) => ({ path, content: readFileSync(join(folder, path)) }));
const files = [...whole, ...outputs].map(({ path, content }) => ({
  file: {
    path,
    contentType: types[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream",
    etag: `"${createHash("sha256").update(content).digest("hex").slice(0, 20)}"`,
  },
  bytes: gzipSync(content, { level: 9 }),
}));
const packed = pack(files);
writeFileSync(join(root, "master/dashboard", packFileName), packed);
for (const { file, bytes } of files) console.log(`${file.path.padEnd(28)} ${(bytes.length / 1024).toFixed(1)} kB`);
console.log(`dashboard: ${(packed.length / 1024).toFixed(1)} kB`);
