// Compiles one source text after another in this process, as `tsc --target esnext program.ts` would each: a request
// is a frame with the text; the answer a frame of one byte (0 compiled, 1 errors, 2 ask somebody else) and the
// JavaScript or the messages. A frame is eight bytes of length, then the body. Only the parsed declarations of the
// standard library are kept from one request to the next.

const fs = require("node:fs");
const ts = require(process.argv[2]);

const NAME = "/program.ts";
const options = { target: ts.ScriptTarget.ESNext };
const directory = require("node:path").dirname(ts.getDefaultLibFilePath(options));
const parsed = new Map();
let before;

function isOfLibrary(name) {
  return name.startsWith(directory + "/");
}

function hostFor(text, written) {
  return {
    fileExists: (name) => name === NAME || (isOfLibrary(name) && fs.existsSync(name)),
    readFile: (name) => (name === NAME ? text : isOfLibrary(name) ? ts.sys.readFile(name) : undefined),
    getSourceFile(name, languageVersion) {
      if (name === NAME) return ts.createSourceFile(name, text, languageVersion);
      if (!isOfLibrary(name)) return undefined;
      if (!parsed.has(name)) {
        const content = ts.sys.readFile(name);
        parsed.set(name, content === undefined ? undefined : ts.createSourceFile(name, content, languageVersion));
      }
      return parsed.get(name);
    },
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    getDefaultLibLocation: () => directory,
    writeFile: (name, content) => written.set(name, content),
    getCurrentDirectory: () => "/",
    getDirectories: () => [],
    getCanonicalFileName: (name) => name,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
  };
}

function answer(text) {
  const written = new Map();
  const host = hostFor(text, written);
  const program = ts.createProgram([NAME], options, host, before);
  const source = program.getSourceFile(NAME);
  // Not those of the library's own files: what contradicts them is told for the program, too.
  const found = [
    ...program.getConfigFileParsingDiagnostics(),
    ...program.getOptionsDiagnostics(),
    ...program.getSyntacticDiagnostics(source),
    ...program.getGlobalDiagnostics(),
    ...program.getSemanticDiagnostics(source),
  ];
  const emitted = program.emit();
  before = program;
  const all = ts.sortAndDeduplicateDiagnostics([...found, ...emitted.diagnostics]);
  if (all.some((one) => one.category === ts.DiagnosticCategory.Error)) {
    return Buffer.from("\x01" + ts.formatDiagnostics(all, host));
  }
  const script = written.get("/program.js");
  return Buffer.from(script === undefined ? "\x02" : "\x00" + script);
}

function read(length) {
  const buffer = Buffer.alloc(length);
  let have = 0;
  while (have < length) {
    const got = fs.readSync(0, buffer, have, length - have, null);
    if (got === 0) process.exit(0);
    have += got;
  }
  return buffer;
}

function write(buffer) {
  let done = 0;
  while (done < buffer.length) done += fs.writeSync(1, buffer, done);
}

for (;;) {
  const text = read(Number(read(8).readBigUInt64BE(0))).toString();
  let body;
  try {
    body = answer(text);
  } catch {
    before = undefined;
    body = Buffer.from("\x02");
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(body.length));
  write(Buffer.concat([length, body]));
}
