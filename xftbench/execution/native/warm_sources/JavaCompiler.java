// Compiles one source text after another in this process, as `javac Problem.java` would each: a request is a frame
// with the text; the answer a frame of one byte (0 compiled, 1 errors, 2 ask somebody else) and classes or messages.
// A frame is eight bytes of length, then the body. Nothing of a request is kept: each has a task and files of its own.

import java.io.*;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import javax.tools.*;

class JavaCompiler {
    static final class Source extends SimpleJavaFileObject {
        private final String text;

        Source(String text) {
            super(URI.create("string:///Problem.java"), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    static final class Binary extends SimpleJavaFileObject {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        Binary(String name) {
            super(URI.create("memory:///" + name.replace('.', '/') + ".class"), Kind.CLASS);
        }

        @Override
        public OutputStream openOutputStream() {
            return bytes;
        }
    }

    static final class Files extends ForwardingJavaFileManager<StandardJavaFileManager> {
        final Map<String, Binary> classes = new LinkedHashMap<>();

        Files(StandardJavaFileManager shared) {
            super(shared);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            Binary binary = new Binary(name);
            classes.put(name, binary);
            return binary;
        }

        @Override
        public void close() {}

        @Override
        public void flush() {}
    }

    private final javax.tools.JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    private final StandardJavaFileManager shared =
            compiler.getStandardFileManager(null, Locale.ROOT, StandardCharsets.UTF_8);

    byte[] answer(String text) throws IOException {
        StringWriter messages = new StringWriter();
        Files files = new Files(shared);
        boolean compiled;
        try {
            compiled = compiler.getTask(
                            messages, files, null, List.of("-proc:none"), null, List.of(new Source(text)))
                    .call();
        } catch (Throwable anything) {
            return new byte[] {2};
        }
        if (!compiled && messages.toString().contains("system is out of resources")) {
            return new byte[] {2};
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeByte(compiled ? 0 : 1);
        if (!compiled) {
            // Parity: the command names the file without the slash.
            out.write(messages.toString().replace("/Problem.java:", "Problem.java:").getBytes(StandardCharsets.UTF_8));
            return bytes.toByteArray();
        }
        for (Map.Entry<String, Binary> entry : files.classes.entrySet()) {
            byte[] name = (entry.getKey().replace('.', '/') + ".class").getBytes(StandardCharsets.UTF_8);
            byte[] content = entry.getValue().bytes.toByteArray();
            out.writeInt(name.length);
            out.write(name);
            out.writeInt(content.length);
            out.write(content);
        }
        return bytes.toByteArray();
    }

    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        System.setOut(System.err);
        JavaCompiler server = new JavaCompiler();
        server.shared.setLocationFromPaths(StandardLocation.CLASS_PATH, List.of(Path.of(arguments[0])));
        while (true) {
            byte[] request = new byte[(int) in.readLong()];
            in.readFully(request);
            byte[] answer = server.answer(new String(request, StandardCharsets.UTF_8));
            out.writeLong(answer.length);
            out.write(answer);
            out.flush();
        }
    }
}
