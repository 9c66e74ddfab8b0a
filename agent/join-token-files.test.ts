import { describe, expect, test } from "bun:test";
import { withoutToken } from "./join-token-files.ts";

const token = `BR1${"0".repeat(64)}::abcdef.0123456789abcdef`;

describe("a file without its join token", () => {
  test.each([
    ["config.yaml", `# Mine.\nserver: "https://m:6443"\ntoken: "${token}"\nnode-name: a # the first\n`],
    ["config.yaml", `token: ${token}\n`],
    // Joined before, and given a token once more.
    [
      "config.yaml",
      `server: "https://m:6443"\n# The join token was removed: this board has joined.\ntoken: "${token}"\n`,
    ],
    ["config.yaml", `{ server: "https://m:6443", token: "${token}" }\n`],
    ["worker.env", `BRAMBLE_ARGS="--token ${token} --low-memory on"\n`],
    ["worker.env", `BRAMBLE_ARGS="--low-memory on --token=${token}"\n`],
  ])("%s: %s", (file, text) => {
    expect(withoutToken(file, text)).toMatchSnapshot();
  });

  test.each([
    ["config.yaml", `server: "https://m:6443"\n`],
    ["config.yaml", `server: "https://m:6443"\ntoken: ""\n`],
    ["worker.env", `BRAMBLE_ARGS="--low-memory on"\n`],
    ["worker.env", undefined],
  ])("%s is left alone where there is none: %p", (file, text) => {
    expect(withoutToken(file, text)).toBeUndefined();
  });
});
