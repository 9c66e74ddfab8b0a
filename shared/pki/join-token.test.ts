import { describe, expect, test } from "bun:test";
import { createCertificateAuthority } from "./certificate.ts";
import { createJoinToken, formatJoinToken, parseJoinToken, verifyAuthority } from "./join-token.ts";

describe("a join token", () => {
  test("survives being written and read", async () => {
    const { certificatePem } = await createCertificateAuthority("bramble-ca");
    const token = createJoinToken(certificatePem);
    expect(parseJoinToken(` ${formatJoinToken(token)}\n`)).toEqual(token);
    expect(() => verifyAuthority(token, certificatePem, "https://m:6443")).not.toThrow();
  });

  test("refuses another cluster and says what to do", async () => {
    const mine = await createCertificateAuthority("bramble-ca");
    const other = await createCertificateAuthority("bramble-ca");
    expect(() => verifyAuthority(createJoinToken(mine.certificatePem), other.certificatePem, "https://m:6443")).toThrow(
      /https:\/\/m:6443 is not the cluster that this token was made for.*bramble token create/,
    );
  });

  test.each(["", "BR1abc::abcdef.0123456789abcdef", "K10abc::server:x"])("%p is none", (text) => {
    expect(() => parseJoinToken(text)).toThrow("this is not a join token");
  });

  test("a bare bootstrap token is told from a join token", () => {
    expect(() => parseJoinToken("abcdef.0123456789abcdef")).toThrow("only the bootstrap part");
  });
});
