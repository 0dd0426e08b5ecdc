// SPDX-License-Identifier: Apache-2.0
//! Functions of JavaScript, Perl, Ruby, PHP and Lua, a table.

/// What open files and connections have in every language.
pub(super) const SHARED: &str = "
    file.write file.puts file.print file.printf file.writelines file.syswrite file.end file.fputs : put
    file.close file.flush file.fileno response.close socket.close file.seek : nothing
    file.read file.readlines file.gets file.each_line file.lines file.readAsText : read %this
    response.write response.end response.send socket.write socket.puts socket.send socket.print socket.syswrite : upload %0..
    socket.recv socket.gets socket.read socket.receive socket.sysread socket.readline socket.getline : received
    socket.connect : connect %0|host
    import* : import-all %0
";

/// JavaScript, in Node, Deno and Bun.
pub(super) const NODE: &str = "
    child_process.exec child_process.execSync shell.exec execa.command execa.commandSync execaCommand execaCommandSync $ Bun.$ execa.$ zx.$ : shell %0
    child_process.spawn child_process.spawnSync child_process.execFile child_process.execFileSync execa execa.sync execa.execa execa.execaSync cross-spawn cross-spawn.sync Bun.spawn Bun.spawnSync : spawn %0 %1
    child_process.fork worker_threads.Worker Worker : file %0
    Deno.Command : spawn %0 %args
    Deno.run : spawn %cmd
    node-pty.spawn : spawn %0 %1
    shell.rm : run rm %0..
    shell.mv : run mv %0..
    shell.cp : run cp %0..
    shell.chmod : run chmod %0..
    fs.rm fs.rmSync Deno.remove Deno.removeSync : run rm -f recursive?-r %0
    fs.rmdir fs.rmdirSync : run rm -d recursive?-r %0
    fs.unlink fs.unlinkSync : run rm -f %0
    fs.remove fs.removeSync fs.emptyDir fs.emptyDirSync rimraf rimraf.sync rimraf.rimraf rimraf.rimrafSync rimraf.native del del.sync del.deleteAsync del.deleteSync : run rm -rf %0
    fs.rename fs.renameSync fs.move fs.moveSync Deno.rename : run mv -f %0 %1
    fs.copyFile fs.copyFileSync Deno.copyFile : run cp -f %0 %1
    fs.cp fs.cpSync fs.copy fs.copySync : run cp -r %0 %1
    fs.chmod fs.chmodSync fs.lchmod Deno.chmod : run chmod %o1 %0
    fs.chown fs.chownSync fs.lchown Deno.chown : run chown %1 %0
    fs.symlink fs.symlinkSync Deno.symlink : run ln -s %0 %1
    fs.link fs.linkSync : run ln %0 %1
    fs.truncate fs.truncateSync Deno.truncate : run truncate -s %1 %0
    fs.mkdir fs.mkdirSync fs.ensureDir fs.ensureDirSync Deno.mkdir : run mkdir -p %0
    fs.writeFile fs.writeFileSync fs.outputFile fs.outputFileSync fs.writeJson fs.writeJsonSync Deno.writeTextFile Deno.writeFile Deno.writeTextFileSync Bun.write : write %0 %1
    fs.appendFile fs.appendFileSync : append %0 %1
    fs.createWriteStream : open-write %0
    fs.open fs.openSync : open %0 %1
    fs.readFile fs.readFileSync Deno.readTextFile Deno.readFile Deno.readTextFileSync fs.readJson fs.readJsonSync : read %0
    fs.createReadStream Bun.file : open %0
    process.kill : run kill -%1 %0
    process.setuid process.seteuid process.setgid process.setegid : become %0
    process.chdir : chdir %0
    process.binding process.dlopen process._linkedBinding ffi-napi.Library Deno.dlopen bun:ffi.dlopen : native %0
    eval vm.runInThisContext vm.runInNewContext vm.runInContext vm.Script vm.compileFunction module._compile *._compile execScript : code %0
    Function *.constructor.constructor *.constructor AsyncFunction GeneratorFunction : code-last
    setTimeout setInterval setImmediate queueMicrotask process.nextTick : maybe-code %0
    require import process.getBuiltinModule process.mainModule.require createRequire module.createRequire : import %0
    Reflect.get : attribute %0 %1
    http.get : http GET %0|url|hostname|host
    http.request : http _ %0|url|hostname|host
    fetch axios axios.request : http _ %0|url %body %data
    axios.get axios.head : http GET %0|url
    axios.post axios.postForm : http POST %0|url %1|data %body %json
    axios.put : http PUT %0|url %1|data %body %json
    axios.patch : http PATCH %0|url %1|data %body %json
    axios.delete : http DELETE %0|url
    navigator.sendBeacon : http POST %0 %1
    net.connect net.createConnection tls.connect net.Socket.connect tls.TLSSocket.connect Deno.connect Bun.connect : connect %0|host|hostname
    WebSocket ws ws.WebSocket socket.io-client socket.io-client.io EventSource : connect %0
    net.createServer net.Server.listen net.createServer.listen : listen %0
    dns.lookup dns.resolve dns.resolve4 dns.resolveTxt dns.promises.lookup dns.promises.resolve : leak %0
    *.sendMail : upload %0..
    *.query *.$executeRawUnsafe *.$queryRawUnsafe *.$executeRaw *.raw *.run : sql %0
    atob : base64
    Buffer.from Buffer : codec %0 %1
    String.fromCharCode String.fromCodePoint : chr
    decodeURIComponent decodeURI unescape : percent %0
    zlib.gunzipSync zlib.inflateSync zlib.brotliDecompressSync zlib.unzipSync : opaque
    parseInt Number : number
    String JSON.stringify encodeURIComponent encodeURI util.inspect String.raw structuredClone : text
    JSON.parse Object.values Promise.resolve URL util.promisify : same %0
    Array.from Object.keys Buffer.concat : list %0
    path.join path.posix.join : path-join
    path.resolve path.posix.resolve : path-join
    path.dirname : dirname %0
    path.basename : basename %0
    os.homedir : home
    os.tmpdir fs.mkdtempSync fs.mkdtemp : temp
    process.cwd Deno.cwd : here
    glob.sync glob.globSync fast-glob.sync globby.sync fast-glob globby glob.glob : glob %0
    fs.readdirSync fs.readdir Deno.readDir : list-folder
    Deno.env.get process.env.hasOwnProperty : environment %0
    console.log console.info : print-line
    process.stdout.write : print
    console.error console.warn console.table process.exit process.on process.once process.stdin.on Math.random Math.floor Date.now require.resolve : nothing
";

/// Perl, with its own modules.
pub(super) const PERL: &str = "
    system exec : system
    readpipe qx : shell %0
    open2 open3 IPC.Open2.open2 IPC.Open3.open3 : spawn %2
    capture IPC.System.Simple.capture IPC.System.Simple.system IPC.Run.run IPC.Cmd.run : system
    unlink : run rm -f %0..
    rmtree remove_tree File.Path.rmtree File.Path.remove_tree : run rm -rf %0..
    *.remove_tree : run rm -rf %this
    rmdir : run rmdir %0..
    rename move mv File.Copy.move File.Copy.mv : run mv -f %0 %1
    copy cp File.Copy.copy File.Copy.cp : run cp -f %0 %1
    chmod : run chmod %o0 %1..
    chown : run chown %0 %2..
    symlink : run ln -s %0 %1
    link : run ln %0 %1
    truncate : run truncate -s %1 %0
    mkdir make_path mkpath File.Path.make_path : run mkdir -p %0
    kill : run kill -%0 %1..
    open : perl-open %1..
    sysopen : open %1 %2
    IO.File.new : open %0 %1
    Path.Tiny.path path : path
    *.spew *.spew_utf8 : write %this %0
    *.slurp *.slurp_utf8 : read %this
    eval evalbytes : code %0
    do : file %0
    getstore LWP.Simple.getstore mirror LWP.Simple.mirror : run curl -o %1 %0
    get getprint LWP.Simple.get LWP.Simple.getprint HTTP.Tiny.get LWP.UserAgent.get Mojo.UserAgent.get : http GET %0
    HTTP.Tiny.post LWP.UserAgent.post HTTP.Tiny.post_form LWP.UserAgent.put Mojo.UserAgent.post : http POST %0 %1.. %content
    IO.Socket.INET.new IO.Socket.IP.new IO.Socket.SSL.new IO.Socket.new IO.Socket.INET6.new : connect %0|PeerAddr|PeerHost
    connect : connect %1
    sockaddr_in pack_sockaddr_in Socket.sockaddr_in : same %1
    inet_aton gethostbyname Socket.inet_aton : same %0
    bind listen : listen %0
    recv sysread : received
    syswrite : upload %1
    setuid setgid POSIX.setuid POSIX.setgid POSIX.seteuid : become %0
    dup2 POSIX.dup2 : dup2
    fork : fork
    syscall : native %0
    chdir : chdir %0
    *.do *.prepare *.selectall_arrayref *.selectrow_array : sql %0
    decode_base64 MIME.Base64.decode_base64 MIME.Base64.decode : base64
    uudecode inflate uncompress Compress.Zlib.uncompress Compress.Zlib.memGunzip : opaque
    pack : pack
    unpack : unpack %0 %1
    join : join-rest
    reverse scalar.reverse : reverse %0
    chr : chr
    ord : ord
    lc lcfirst scalar : same %0
    sprintf : sprintf
    glob bsd_glob : glob %0
    cwd getcwd Cwd.cwd Cwd.getcwd Cwd.abs_path : here
    tempdir tempfile File.Temp.tempdir File.Temp.tempfile : temp
    uri_unescape : percent %0
    say : print-line
    print : print
    printf use no die warn exit sleep length keys values push shift defined close binmode exists time localtime select srand map grep sort : nothing
";

/// Ruby, with its own libraries.
pub(super) const RUBY: &str = "
    system exec spawn IO.popen Open3.capture2 Open3.capture2e Open3.capture3 Open3.popen2 Open3.popen2e Open3.popen3 Open3.pipeline PTY.spawn sh : system
    File.delete File.unlink FileUtils.rm FileUtils.rm_f FileUtils.remove FileUtils.safe_unlink FileUtils.remove_file rm rm_f : run rm -f %0..
    FileUtils.rm_r FileUtils.rm_rf FileUtils.rmtree FileUtils.remove_dir FileUtils.remove_entry FileUtils.remove_entry_secure rm_rf rm_r : run rm -rf %0
    Dir.rmdir Dir.delete Dir.unlink FileUtils.rmdir : run rmdir %0
    Pathname.delete Pathname.unlink pathlib.Path.delete pathlib.Path.unlink : run rm -f %this
    Pathname.rmtree pathlib.Path.rmtree : run rm -rf %this
    Pathname.write pathlib.Path.write : write %this %0
    Pathname.read pathlib.Path.read : read %this
    FileUtils.mv FileUtils.move File.rename mv : run mv -f %0 %1
    FileUtils.cp FileUtils.copy FileUtils.copy_file FileUtils.install cp : run cp -f %0 %1
    FileUtils.cp_r FileUtils.copy_entry cp_r : run cp -r %0 %1
    FileUtils.chmod File.chmod File.lchmod chmod : run chmod %o0 %1..
    FileUtils.chmod_R chmod_R : run chmod -R %o0 %1..
    FileUtils.chown : run chown %0 %2..
    FileUtils.chown_R : run chown -R %0 %2..
    File.chown : run chown %0 %2..
    FileUtils.ln_s FileUtils.symlink File.symlink FileUtils.ln_sf : run ln -s %0 %1
    File.link FileUtils.ln : run ln %0 %1
    File.truncate : run truncate -s %1 %0
    FileUtils.mkdir_p FileUtils.mkdir Dir.mkdir FileUtils.makedirs mkdir_p : run mkdir -p %0
    FileUtils.touch touch : run touch %0
    FileUtils.cd Dir.chdir FileUtils.chdir : chdir %0
    File.write : write %0 %1
    File.open File.new open : open %0 %1
    File.read File.readlines File.binread File.foreach : read %0
    eval instance_eval class_eval module_eval binding.eval *.instance_eval *.class_eval *.module_eval *.eval RubyVM.InstructionSequence.compile ERB.new : code %0
    load require_relative : file-if %0
    send public_send __send__ *.send *.public_send *.__send__ : by-name %0 %1..
    method *.method public_method *.public_method const_get *.const_get Object.const_get : import %0
    Net.HTTP.get Net.HTTP.get_response URI.open URI.parse.open URI.parse.read OpenURI.open_uri HTTParty.get RestClient.get Faraday.get Excon.get HTTP.get pathlib.Path.open : http GET %this %0
    Net.HTTP.post Net.HTTP.post_form HTTParty.post RestClient.post Faraday.post Excon.post HTTP.post : http POST %0 %1 %body %form
    HTTParty.put RestClient.put Faraday.put : http PUT %0 %1 %body
    HTTParty.delete RestClient.delete Faraday.delete : http DELETE %0
    Net.HTTP.start Net.HTTP.new : connect %0
    TCPSocket.new TCPSocket.open Socket.tcp OpenSSL.SSL.SSLSocket.new UNIXSocket.new : connect %0
    TCPServer.new TCPServer.open Socket.tcp_server_loop : listen %0
    Net.SSH.start : connect %0
    *.exec! : remote %0
    Process.kill : run kill -%0 %1..
    Process.setuid Process.Sys.setuid Process.UID.change_privilege Process.Sys.setgid : become %0
    fork Process.fork : fork
    Fiddle.dlopen Fiddle.Handle.new : native %0
    Marshal.load YAML.load YAML.unsafe_load Oj.load : unpickle %0
    *.execute *.exec_query *.execute_batch *.exec_params *.find_by_sql : sql %0
    Base64.decode64 Base64.strict_decode64 Base64.urlsafe_decode64 : base64
    Zlib.Inflate.inflate Zlib.inflate Zlib.gunzip : opaque
    CGI.unescape URI.decode_www_form_component URI.decode : percent %0
    URI URI.parse URI.join : same %0
    Pathname Pathname.new : path
    File.join : path-join
    File.expand_path File.absolute_path File.realpath : expand %0
    File.dirname : dirname %0
    File.basename : basename %0
    Dir.home : home
    Dir.pwd Dir.getwd : here
    Dir.tmpdir Dir.mktmpdir Tempfile.new Tempfile.create : temp
    Dir.glob Dir.[] : glob %0
    Dir.children Dir.entries Dir.each_child Dir.foreach : list-folder
    ENV.fetch ENV.[] : environment %0
    ENV.to_h ENV.to_a ENV.each ENV.map ENV.inspect ENV.to_hash : environment
    Integer : number
    sprintf format : sprintf
    gets STDIN.read STDIN.gets ARGF.read $stdin.read $stdin.gets $<.read readlines : stdin
    puts p pp STDOUT.puts $stdout.puts : print-line
    print STDOUT.print STDOUT.write $stdout.write $stdout.print putc : print
    require gem raise exit abort sleep printf rand srand warn attr_accessor attr_reader include extend private loop lambda proc puts_error : nothing
";

/// PHP.
pub(super) const PHP: &str = "
    system exec shell_exec passthru popen proc_open expect_popen : shell %0
    pcntl_exec : words %0 %1
    unlink : run rm -f %0
    rmdir : run rmdir %0
    rename move_uploaded_file : run mv -f %0 %1
    copy : run cp -f %0 %1
    chmod : run chmod %o1 %0
    chown : run chown %1 %0
    chgrp : run chgrp %1 %0
    symlink : run ln -s %0 %1
    link : run ln %0 %1
    mkdir : run mkdir -p %0
    touch : run touch %0
    file_put_contents : write %0 %1
    fopen : open %0 %1
    fwrite fputs : dump %1 %0
    file_get_contents file readfile show_source highlight_file parse_ini_file simplexml_load_file : read %0
    eval assert create_function : code-last
    include include_once require require_once : file-if %0
    call_user_func call_user_func_array : by-name %0 %1..
    curl_init : http GET %0
    curl_setopt : leak %2
    fsockopen pfsockopen stream_socket_client : connect %0
    socket_connect : connect %1
    stream_socket_server socket_bind socket_listen : listen %0
    fread fgets stream_get_contents socket_read : received-file %0
    mail : upload %0..
    posix_kill : run kill -%1 %0
    posix_setuid posix_seteuid posix_setgid : become %0
    pcntl_fork : fork
    dl FFI.cdef FFI.load : native %0
    unserialize : unpickle %0
    mysqli_query mysql_query pg_query sqlite_exec : sql %1
    *.query *.exec *.multi_query *.prepare : sql %0
    chdir : chdir %0
    base64_decode : base64
    hex2bin : hex
    str_rot13 : rot13
    strrev : reverse %0
    gzinflate gzuncompress gzdecode zlib_decode convert_uudecode openssl_decrypt : opaque
    urldecode rawurldecode : percent %0
    chr : chr
    ord : ord
    implode join : join
    explode : split-by %0 %1
    sprintf vsprintf : sprintf
    pack : pack
    strtolower strtoupper trim rtrim ltrim stripslashes strval json_encode serialize escapeshellarg escapeshellcmd htmlspecialchars addslashes : text
    realpath : same %0
    dirname : dirname %0
    basename : basename %0
    getcwd : here
    sys_get_temp_dir tempnam tmpfile : temp
    glob : glob %0
    scandir : list-folder
    getenv : environment %0
    strlen count : length
    array : tuple
    phpinfo ini_set ini_get error_reporting set_time_limit header exit die sleep date time rand fclose isset empty file_exists is_file is_dir define phpversion microtime str_repeat : nothing
    echo print : print
    print_r var_dump var_export printf : print
";

/// Lua.
pub(super) const LUA: &str = "
    os.execute io.popen : shell %0
    os.remove lfs.rmdir : run rm -f %0
    os.rename : run mv -f %0 %1
    lfs.mkdir : run mkdir -p %0
    lfs.chdir : chdir %0
    io.open : open %0 %1
    io.lines io.input : read %0
    io.output : open-write %0
    load loadstring : code %0
    dofile loadfile : file %0
    require : import %0
    string.char utf8.char : chr
    string.byte : ord
    string.reverse : reverse %0
    string.rep : same %0
    string.lower string.upper tostring : text
    string.format : sprintf
    table.concat : join
    tonumber : number
    os.getenv : environment %0
    os.tmpname : temp
    io.read io.stdin.read : stdin
    socket.connect socket.tcp.connect socket.connect4 : connect %0
    socket.http.request ssl.https.request http.request https.request : http _ %0 %1
    package.loadlib ffi.load ffi.C : native %0
    mime.unb64 : base64
    print : print-line
    io.write : print
    os.exit os.time os.clock os.date math.random math.floor error assert pcall xpcall pairs ipairs type setmetatable : nothing
";
