"""Languages that are compiled before they run."""

from xftbench.execution.native.language import Language, Proof, Rule, Signs, Step, Tool, Variant

_ENDS_MAIN = r"\}\s*\Z"
_ENDS_CLASS = r"\}\s*\}\s*\Z"
_JAVA_MEMORY = r"java\.lang\.OutOfMemoryError|There is insufficient memory|Could not reserve enough space"
_ENDING = (
    r"\b(?:_?exit|_Exit|quick_exit|atexit|at_quick_exit|on_exit|abort|halt|quit|kill|signal|raise|trap|system|"
    r"exec\w*|v?fork|spawn\w*|syscall|longjmp|main)\b|__\w"
)
_MEDDLING = _ENDING + r"|\bassert\w*(?!\w|\.h>)\b"
_OF_UNION = r"\s*\(\s*[\w:<>, &]+?\bf\s*\)\s*(?:const\s*)?\{\s*return\s+f\d\s*==\s*f\s*;\s*\}"
"""How the prompts' own unions compare, which stand for Python's `Union`."""
_JAVA_METHOD = (
    r"(?<![\w<>,.?\[\]&@$\s])(?![\w<>,.?\[\]&@$\s]*\bstatic\s)[\w<>,.?\[\]&@$\s]*"
    r"(?:[>\]]\s*|\w\s+)(?!(?:if|for|while|switch|catch|synchronized|try)\b)\w++\s*"
    r"\((?:[^();{}]|\([^();]{0,400}\)){0,400}\)\s*(?:throws\b[^;{}()]{0,400})?\{"
)
"""A method that is not static can take the place of another: a map's `size`, by which its `equals` goes."""

CPP = Language(
    name="cpp",
    title="C++",
    file_name="program.cpp",
    variants=(
        Variant(
            tools=(Tool(name="g++", debian=("g++",), version=("-dumpfullversion",)),),
            steps=(
                Step(argv=("{g++}", "program.cpp", "-o", "program", "-std=c++17"), compiles=True),
                Step(argv=("./program",)),
            ),
        ),
    ),
    signs=Signs(memory=r"std::bad_alloc|std::bad_array_new_length", assertion=r"Assertion .* failed"),
    proof=Proof(
        line=r"""assert(std::vector<long>({@A@}) == std::vector<long>({@B@})); """
        r"""std::fflush(stdout), std::printf("\n%2$s%1$s\n", "@2@", "@1@"), std::fflush(stdout);""",
        before=r"(?:return\s+0\s*;\s*)?\}\s*\Z",
        needs=r"#[ \t]*include[ \t]*<bits/stdc\+\+\.h>",
        check=(r"assert\(candidate\(", ");"),
        # Nothing but a macro can take `assert` away.
        wary=_ENDING + r"|_Pragma|#\s*(?!include)|\b(?:operator|asm|terminate|goto)\b|std::set_"
        r"|\b(?:f|fre|p|shm_|fd)?open\s*\(|\b(?:mmap|mprotect|dl(?:sym|open)|write|read|dup2?|getenv|setjmp|rename)\s*\("
        r"|\b[io]?fstream\b"
        # A program's own function takes the C library's place; a typedef or a line break may hide that.
        r"|\b(?:mem|bcmp|wmem|str(?!len\s*\((?!const|char))|wcs)\w*+\s*\((?!\s*std::string)[^()\n]{0,200}[*\[]"
        r"|\b(?:mem(?:cmp|cpy|move|set|chr|rchr|mem)|bcmp|bcopy|bzero|wmem\w*+|str(?:len|n?cmp|n?cpy|coll|chr)|wcs\w*+)"
        r"\s*\((?:[^()]|\([^()]*\))*+\)[^{};()]*(?:\([^()]*\)[^{};()]*)?\{"
        r"|\busing\s++(?!std\b)(?:namespace\s++(?!std\s*;)|[\w:]+\s*[;=]|typename)",
        equality=r"operator\s*(?:!=|<=>|==(?!" + _OF_UNION + r"))|#\s*define\s+\w+\s+(?:[!=]=|<=>|operator)",
    ),
)

JAVA = Language(
    name="java",
    title="Java",
    file_name="Problem.java",
    variants=(
        Variant(
            tools=(
                Tool(name="javac", debian=("default-jdk-headless",), version=()),
                Tool(name="java", shown="openjdk", debian=("default-jre-headless",)),
                Tool(
                    name="javatuples",
                    files=(
                        "$XFTBENCH_JAVATUPLES",
                        "{cache}/javatuples-1.2.jar",
                        "/usr/share/java/javatuples.jar",
                        "/usr/multiple/javatuples-1.2.jar",
                    ),
                    version=(),
                    debian=("libjavatuples-java",),
                ),
            ),
            steps=(
                # With the stack of the warm compiler, so that both take the same programs.
                Step(
                    argv=(
                        "{javac}", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-J-Xss4m",
                        "-proc:none", "-encoding", "UTF8", "-cp", "{javatuples}", "-d", ".", "Problem.java",
                    ),
                    compiles=True,
                ),
                # The collector is the machine's choice: the JVM's own archive of classes is made for G1.
                Step(
                    argv=("{java}", "-XX:-UsePerfData", "-Xmx2g", "-ea", "-cp", ".:{javatuples}", "Problem"),
                ),
            ),
        ),
    ),
    signs=Signs(memory=_JAVA_MEMORY, assertion=r"java\.lang\.AssertionError"),
    proof=Proof(
        line=r"""assert(java.util.Arrays.asList(@A@L).equals(java.util.Arrays.asList(@B@L))); """
        r"""System.out.print(String.format("\n%2$s%1$s\n", "@2@", "@1@")); System.out.flush();""",
        before=_ENDS_CLASS,
        check=(r"assert\(\w+\(", ");"),
        wary=r"System\s*\.\s*(?!out\b|arraycopy|lineSeparator|identityHashCode|nanoTime|currentTimeMillis)|"
        r"\b(?:exit|halt|Runtime|Process\w*|getClass|forName|Thread|assert|invoke|setAccessible|Unsafe|\w*ClassLoader|"
        r"Files?|Path|InputStream|Shutdown\w*|desiredAssertionStatus)\b|reflect\.(?!\*;)|static\s*\{|Problem\s*[.(]|"
        r"class\s+(?!Problem\b)|\bmain\b|Prox(?:y|ies)|(?<![.:])\bequals\b|" + _JAVA_METHOD,
        # What `equals` of a map and of a set goes by.
        equality=r"[bB]oolean\s+(?:equals|containsAll)\s*\(|\bentrySet\s*\(\s*\)\s*(?:throws\b[^;{}()]{0,400})?\{",
    ),
    runtime_memory=True,
)  # fmt: skip

RUST = Language(
    name="rs",
    title="Rust",
    file_name="program.rs",
    variants=(
        Variant(
            # By its real path: rustup's stand-in wants a home directory.
            tools=(
                Tool(
                    name="rustc",
                    files=("{rust-sysroot}/bin/rustc",),
                    debian=("rustc",),
                ),
            ),
            # The debug profile: arithmetic overflow panics.
            steps=(
                Step(argv=("{rustc}", "program.rs", "-o", "program"), compiles=True),
                Step(argv=("./program",), cpu_s=5),
            ),
        ),
    ),
    signs=Signs(memory=r"memory allocation of \d+ bytes failed", assertion=r"assertion .*failed"),
    proof=Proof(
        line=r"""assert_eq!(vec![@A@u64], vec![@B@u64]); print!("\n{1}{0}\n", "@2@", "@1@");""",
        before=_ENDS_MAIN,
        check=(r"assert_eq!\(candidate\(", ");"),
        wary=_ENDING
        + r"|\bas\s+(?:assert|[A-Z])|macro_rules|unsafe|extern|std::process|panic|no_mangle|link_section|"
        r"#\s*!?\s*\[\s*(?!(?:derive|allow|inline|cfg|must_use|test|warn)\b)|"
        r"include|env!|std::fs"
        r"|\bmod\s+(?:std|core|alloc)\b|\buse\s++(?!(?:std|core|alloc|super)\b)|\bPartialEq\b(?![\w\s,]{0,200}\)\])",
        equality=r"\bPartialEq\s*(?:<|as\b)|[(\[{,]\s*PartialEq\s*(?:\)(?!\s*\])|\]|\})",
    ),
)

SWIFT = Language(
    name="swift",
    title="Swift",
    file_name="program.swift",
    variants=(
        Variant(
            tools=(
                Tool(
                    name="swiftc",
                    advice="Debian has no package: unpack a release of swift.org and put its usr/bin on PATH",
                ),
            ),
            steps=(
                Step(argv=("{swiftc}", "program.swift", "-o", "program"), cpu_s=45, compiles=True),
                Step(argv=("./program",), cpu_s=5),
            ),
        ),
    ),
    signs=Signs(assertion=r"Assertion failed"),
    proof=Proof(
        line='assert([@A@] == [@B@]); print("\\n" + { (b: String, a: String) in a + b }("@2@", "@1@"))',
        check=(r"assert\(\w+\(", ")"),
        wary=_MEDDLING + r"|func\s+(?:assert|print|==)|Foundation|Glibc|unsafe|dlsym",
        equality=r"func\s*==",
    ),
)

GO = Language(
    name="go",
    title="Go",
    file_name="program_test.go",
    variants=(
        Variant(
            tools=(Tool(name="go", version=("version",), debian=("golang-go",)),),
            # -v, because a test that passes has its output swallowed, and with it the proof.
            steps=(Step(argv=("{go}", "test", "-v", "program_test.go"), cpu_s=30),),
        ),
    ),
    signs=Signs(
        memory=r"out of memory|cannot allocate memory",
        syntax=r"\[setup failed\]|\[build failed\]",
        crash=r"^(?:panic|fatal error): .*",
        assertion=r"--- FAIL",
    ),
    proof=Proof(
        line='if fmt.Sprintf("%v", []int{@A@}) != fmt.Sprintf("%v", []int{@B@}) { t.Errorf("xftbench") }; '
        'fmt.Printf("\\n%[2]s%[1]s\\n", "@2@", "@1@")',
        before=_ENDS_MAIN,
        needs=r"fmt\.Sprintf\(\"%v\", tc\.actual\)",
        check=(r"\{ actual: candidate\(", "}"),
        wary=r"\"(?:os|syscall|unsafe|reflect|runtime|flag|log|plugin)[/\"]|os\.|func\s+(?:init|TestMain|Test)|testing\.|runtime\.|syscall|unsafe|exit|reflect|go:|"
        r"(?<!\.)\b(?:String|GoString|Format|Error)\s*\(|\b(?:type|var|const)\s*\(|panic|recover|Goexit|\bt\b\s*\.",
    ),
    environment=(
        ("GOCACHE", "{work}/.gocache"),
        ("GOPATH", "{work}/.gopath"),
        ("GO111MODULE", "auto"),
        ("GOFLAGS", ""),
        ("GOPROXY", "off"),
        ("GOTOOLCHAIN", "local"),
        ("CGO_ENABLED", "0"),
    ),
    runtime_memory=True,
)  # fmt: skip

CSHARP_PROOF = Proof(
    line="Debug.Assert(new List<long>{@A@}[0] == new List<long>{@B@}[0]); "
    'System.Console.Out.Write("\\n{1}{0}\\n", "@2@", "@1@"); System.Console.Out.Flush();',
    before=_ENDS_CLASS,
    check=(r"Debug\.Assert\(\w+\(", ");"),
    wary=r"Debug|Trace|Environment|Process|Exit|Abort|Kill|Reflection|GetType|Invoke|unsafe|DllImport|static\s+Problem|"
    r"Console\s*\.\s*(?:Set|Open)|class\s+(?:Console|String|Object)|Listener|Conditional|^\s*#|\bMain\b",
    equality=r"(?:bool|Boolean)\s+(?:[\w.]{1,80}(?:<[^(){};]{0,200}>)?\s*\.\s*)?@?(?:Sequence)?Equals?\s*[(<]|operator\s*[=!]=",
)


def _mono(compiler: str, package: str) -> Variant:
    tool = Tool(name=compiler, debian=(package,))
    references = (
        ("/d:DEBUG", "-r:System.Numerics.dll")
        if compiler == "csc"
        else ("-d:DEBUG", "-r:System.Numerics.dll")
    )
    out = "/out:program.exe" if compiler == "csc" else "-out:program.exe"
    return Variant(
        tools=(tool, Tool(name="mono", debian=("mono-runtime",), version=())),
        steps=(
            Step(argv=(f"{{{compiler}}}", *references, "program.cs", out), compiles=True),
            Step(argv=("{mono}", "program.exe"), cpu_s=5),
        ),
    )


CSHARP = Language(
    name="cs",
    title="C#",
    file_name="program.cs",
    # Debian has only mcs (C# 7): newer syntax does not compile with it.
    variants=(_mono("csc", "mono-devel"), _mono("mcs", "mono-mcs")),
    rule=Rule(stderr_lacks=("System.Diagnostics.DefaultTraceListener.Fail", "Unhandled Exception")),
    signs=Signs(
        memory=r"System\.OutOfMemoryException|GC heap",
        assertion=r"System\.Diagnostics\.DefaultTraceListener\.Fail",
    ),
    proof=CSHARP_PROOF,
    environment=(("MONO_TRACE_LISTENER", "Console.Error"),),
    runtime_memory=True,
)

D = Language(
    name="d",
    title="D",
    file_name="program.d",
    variants=(
        Variant(
            tools=(Tool(name="rdmd"), Tool(name="dmd", debian=("dmd-compiler",))),
            steps=(Step(argv=("{rdmd}", "-unittest", "program.d")),),
        ),
        Variant(
            tools=(Tool(name="ldmd2", shown="ldc", debian=("ldc",)),),
            steps=(
                Step(argv=("{ldmd2}", "-unittest", "-ofprogram", "program.d"), compiles=True),
                Step(argv=("./program",)),
            ),
        ),
    ),
    signs=Signs(
        memory=r"OutOfMemoryError|Memory allocation failed",
        syntax=r"\bError:",
        crash=r"core\.exception\.(?!AssertError)\w+@.*|object\.\w+@.*",
        assertion=r"core\.exception\.AssertError|FAILED unittests",
    ),
    proof=Proof(
        line=r"assert([@A@L] == [@B@L]); { import core.stdc.stdio; "
        r'printf("\n%2$s%1$s\n", "@2@".ptr, "@1@".ptr); '
        r"fflush(stdout); }",
        before=r"\}\s*(?:void\s+main\s*\(.*)?\s*\Z",
        check=(r"assert\(candidate\(", ");"),
        wary=_MEDDLING
        + r"|static\s+this|shared|extern|pragma|moduleUnitTester|version|opEquals|mixin|import\s*\(",
        equality=r"\bopEquals\b",
    ),
)

SCALA = Language(
    name="scala",
    title="Scala",
    file_name="Problem.scala",
    variants=(
        Variant(
            tools=(
                Tool(name="scalac", version=("-version",), debian=("scala",)),
                Tool(name="scala", version=(), debian=("scala",)),
                Tool(name="java", version=(), debian=("default-jre-headless",)),
            ),
            steps=(
                Step(argv=("{scalac}", "-d", ".", "Problem.scala"), cpu_s=45, compiles=True),
                Step(argv=("{scala}", "-cp", ".", "Problem")),
            ),
        ),
    ),
    rule=Rule(stderr_empty=True),
    signs=Signs(memory=_JAVA_MEMORY, assertion=r"java\.lang\.AssertionError"),
    proof=Proof(
        line="assert(scala.List(@A@L) == scala.List(@B@L)); "
        'System.out.print("\\n%2$s%1$s\\n".format("@2@", "@1@")); System.out.flush()',
        before=_ENDS_CLASS,
        check=(r"assert\(\w+\(", ");"),
        wary=r"sys\.|System|exit|halt|Runtime|Thread|reflect|assert|Predef|Process|java\.(?:io|nio)|equals|implicit"
        # What a collection's `equals` goes by is another's where a class takes its place.
        r"|\b(?:class|trait|extends)\b|\boverride\b(?!\s+def\s+toString\b)"
        r"|\b(?:def|val|var|object)\s+`?(?:iterator|foreach|apply|canEqual|sameElements|forall|corresponds)\b|`",
        equality=r"def\s+`?(?:equals|==|canEqual|sameElements)|\boverride\b[^\n]{0,80}\b(?:forall|corresponds)\b",
    ),
    environment=(("JAVA_OPTS", "-XX:+UseSerialGC -Xmx2g"),),
    runtime_memory=True,
)

HASKELL = Language(
    name="hs",
    title="Haskell",
    file_name="program.hs",
    variants=(
        Variant(
            tools=(
                Tool(name="runghc", debian=("ghc",), version=()),
                Tool(name="ghc", debian=("ghc",)),
            ),
            steps=(Step(argv=("{runghc}", "program.hs")),),
        ),
    ),
    signs=Signs(
        memory=r"heap exhausted|out of memory",
        syntax=r": error:",
        assertion=r"Assertion failed|ExitFailure",
    ),
    runtime_memory=True,
)

COMPILED = (JAVA, CPP, SWIFT, RUST, GO, CSHARP, D, SCALA, HASKELL)
