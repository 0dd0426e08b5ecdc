// SPDX-License-Identifier: Apache-2.0
//! Python's own functions and those of libraries, a table.

/// Programs, code and rights.
pub(super) const PROCESSES: &str = "
    os.system os.popen os.popen2 os.popen3 os.popen4 os.startfile : shell %0|command|cmd
    subprocess.getoutput subprocess.getstatusoutput commands.getoutput commands.getstatusoutput : shell %0|cmd
    asyncio.create_subprocess_shell asyncio.subprocess.create_subprocess_shell pexpect.run pexpect.spawn : shell %0|cmd
    invoke.run invoke.sudo fabric.local fabric.api.local : shell %0
    fabric.api.run fabric.api.sudo : remote %0
    *.exec_command fabric.Connection.run fabric.Connection.sudo : remote %0
    subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen popen2.popen2 : spawn %0|args
    subprocess._execute_child subprocess.fork_exec : spawn %0
    asyncio.create_subprocess_exec asyncio.subprocess.create_subprocess_exec trio.run_process anyio.run_process : words
    pty.spawn : spawn %0|argv
    os.execv os.execve os.execvp os.execvpe : execv %0 %1
    os.execl os.execle os.execlp os.execlpe : execl %0..
    os.posix_spawn os.posix_spawnp : execv %0 %1
    os.spawnv os.spawnve os.spawnvp os.spawnvpe : execv %1 %2
    os.spawnl os.spawnle os.spawnlp os.spawnlpe : execl %1..
    sh.Command plumbum.local : words
    exec eval compile code.interact code.InteractiveInterpreter.runsource execjs.eval : code %0|source
    *.runsource *.runcode *.interact : code %0
    execfile runpy.run_path : file %0
    marshal.loads zlib.decompress lzma.decompress bz2.decompress gzip.decompress zlib.decompressobj : opaque
    types.FunctionType types.CodeType : code %0
    timeit.timeit timeit.repeat cProfile.run pdb.run profile.run trace.run : code %0|stmt
    pickle.loads pickle.load pickle.Unpickler joblib.load yaml.unsafe_load yaml.load jsonpickle.decode shelve.open torch.load : unpickle %0
    os.kill os.killpg signal.pthread_kill : run kill -%1 %0
    *.send_signal : same %this
    os.setuid os.seteuid os.setreuid os.setresuid os.setgid os.setegid : become %0
    os.fork os.forkpty pty.fork : fork
    os.dup2 : dup2 %0 %1
    ctypes.CDLL ctypes.cdll.LoadLibrary ctypes.PyDLL ctypes.WinDLL ctypes.windll.LoadLibrary cffi.FFI.dlopen ctypes.memmove ctypes.CFUNCTYPE : native %0
    ctypes.cast ctypes.string_at mmap.mmap : native %0
    keyring.get_password keyring.get_credential win32cred.CredRead browser_cookie3.chrome browser_cookie3.load : secret %0
    pip.main pip._internal.main pip._internal.cli.main.main : run pip %0
    webbrowser.open webbrowser.open_new : run xdg-open %0
    importlib.import_module importlib.__import__ __import__ imp.load_module importlib.util.find_spec : import %0|name
    imp.load_source importlib.util.spec_from_file_location importlib.machinery.SourceFileLoader : file %1
    getattr inspect.getattr_static : attribute %0 %1
    operator.attrgetter operator.methodcaller : same %0
    vars globals locals : scope
    functools.partial functools.partialmethod : partial
    os.chdir os.fchdir : chdir %0
    print sys.stdout.writelines : print-line
    sys.stdout.write sys.stdout.buffer.write sys.__stdout__.write : print
    sys.exit exit quit time.sleep sys.stdout.flush os.umask random.seed gc.collect : nothing
";

/// Files.
pub(super) const FILES: &str = "
    open : open %0|file %1|mode
    aiofiles.open gzip.open bz2.open lzma.open os.open : open %0|file %1|mode
    zipfile.ZipFile tarfile.open : open %0 %1|mode
    pathlib.Path.open : open %this %0|mode
    pathlib.Path.read_text pathlib.Path.read_bytes : read %this
    pathlib.Path.write_text pathlib.Path.write_bytes : write %this %0|data
    file.read file.readlines file.readline file.read_text : read %this
    os.read : received
    numpy.save pandas.DataFrame.to_csv *.to_csv *.to_parquet *.to_pickle *.to_excel *.savefig : write %0
    json.load yaml.safe_load csv.reader tomllib.load configparser.ConfigParser.read : read %0
    linecache.getlines linecache.getline fileinput.input numpy.load pandas.read_csv : read %0
    json.dump pickle.dump yaml.dump yaml.safe_dump : dump %0 %1
    os.remove os.unlink send2trash.send2trash : run rm -f %0|path
    pathlib.Path.unlink : run rm -f %this
    os.rmdir : run rmdir %0|path
    pathlib.Path.rmdir : run rmdir %this
    os.removedirs : run rmdir -p %0|name
    shutil.rmtree distutils.dir_util.remove_tree : run rm -rf %0|path
    *.rmtree *.remove_p *.rmtree_p : run rm -rf %this
    shutil.move os.rename os.replace os.renames : run mv -f %0|src %1|dst
    pathlib.Path.rename pathlib.Path.replace : run mv -f %this %0|target
    shutil.copy shutil.copy2 shutil.copyfile : run cp -f %0|src %1|dst
    shutil.copytree distutils.dir_util.copy_tree : run cp -r %0|src %1|dst
    os.symlink : run ln -s %0|src %1|dst
    os.link : run ln %0|src %1|dst
    pathlib.Path.symlink_to : run ln -s %0 %this
    pathlib.Path.hardlink_to : run ln %0 %this
    os.chmod os.lchmod os.fchmod : run chmod %o1|mode %0|path
    pathlib.Path.chmod : run chmod %o0|mode %this
    os.chown os.lchown : run chown %1|uid %0|path
    shutil.chown : run chown %1|user %0|path
    os.truncate : run truncate -s %1 %0
    os.mkdir os.makedirs : run mkdir -p %0|name
    pathlib.Path.mkdir : run mkdir -p %this
    pathlib.Path.touch : run touch %this
    os.mkfifo os.mknod : run mkfifo %0
    os.chroot : run chroot %0
    shutil.make_archive : run tar -cf %0 %2
    shutil.unpack_archive : run tar -xf %0
    os.mount : run mount %0 %1
";

/// Hosts and databases.
pub(super) const NETWORK: &str = "
    requests.get requests.options requests.stream urllib.request.URLopener.open urllib3.request : http GET %0|url %params
    requests.head : http HEAD %0|url
    requests.post : http POST %0|url %1|data %json %files %content %params
    requests.put : http PUT %0|url %1|data %json %files %content
    requests.patch : http PATCH %0|url %1|data %json %files %content
    requests.delete : http DELETE %0|url %data %json
    requests.request urllib3.PoolManager.request urllib3.PoolManager.urlopen *.ws_connect : http %0|method %1|url %data %json %files %content %fields %body
    urllib.request.urlopen urllib.request.build_opener.open mechanize.urlopen : http _ %0|url %1|data
    urllib.request.urlretrieve urllib.urlretrieve wget.download : run curl -o %1|filename %0|url
    http.client.HTTPConnection http.client.HTTPSConnection : connect %0|host
    *.putrequest : nothing
    socket.create_connection asyncio.open_connection websocket.create_connection websockets.connect telnetlib.Telnet : connect %0|address|host
    socket.socket.connect socket.socket.connect_ex *.connect_ex : connect %0
    socket.connect : connect %0
    ftplib.FTP ftplib.FTP_TLS smtplib.SMTP smtplib.SMTP_SSL smtplib.LMTP imaplib.IMAP4_SSL : connect %0|host
    paramiko.SSHClient.connect paramiko.Transport asyncssh.connect : connect %0|hostname|host
    socket.socket.bind socket.socket.listen socket.create_server socketserver.TCPServer : listen %0
    socket.socket.accept : received
    *.recv *.recvfrom *.recv_into *.makefile : received
    *.sendall *.sendto *.sendfile *.sendmsg : upload %0..
    socket.socket.send socket.send socket.sendall : upload %0
    *.sendmail *.send_message *.storbinary *.storlines *.putfo : upload %0..
    paramiko.SFTPClient.put *.put_file : upload-file %0
    socket.gethostbyname socket.getaddrinfo dns.resolver.resolve dns.resolver.query socket.gethostbyname_ex : leak %0
    *.execute *.executescript *.executemany *.exec_driver_sql *.raw_sql : sql %0|sql|statement
    sqlalchemy.text psycopg2.sql.SQL : same %0
    scapy.all.send scapy.all.sendp scapy.all.srp : listen %0
    pynput.keyboard.Listener : listen %0
";

/// Values.
pub(super) const VALUES: &str = "
    str bytes bytearray unicode memoryview repr ascii format str.encode : text
    chr unichr : chr
    ord : ord
    int : number
    len : length
    list sorted set iter enumerate tuple frozenset : list
    range xrange : range
    reversed : reverse %0
    str.join : join %0 %1
    sum : same %0
    base64.b64decode base64.standard_b64decode base64.urlsafe_b64decode base64.decodebytes base64.decodestring binascii.a2b_base64 pybase64.b64decode : base64 %0|s
    bytes.fromhex bytearray.fromhex binascii.unhexlify binascii.a2b_hex base64.b16decode : hex %0
    base64.b85decode base64.a85decode base64.b32decode cryptography.fernet.Fernet.decrypt *.decrypt *.decompress : opaque
    codecs.decode codecs.encode : codec %0 %1|encoding
    codecs.getdecoder : same %0
    urllib.parse.unquote urllib.unquote html.unescape urllib.parse.unquote_plus : percent %0
    urllib.parse.quote urllib.parse.urlencode urllib.parse.quote_plus html.escape shlex.quote pipes.quote textwrap.dedent : text
    os.path.join posixpath.join : path-join
    os.path.expanduser os.path.expandvars : expand %0
    os.path.abspath os.path.realpath os.path.normpath os.fspath os.fsencode os.fsdecode typing.cast copy.copy : same %0
    os.path.dirname : dirname %0
    os.path.basename : basename %0
    os.getcwd os.getcwdb pathlib.Path.cwd : here
    pathlib.Path.home : home
    pathlib.Path Path : path
    tempfile.mkdtemp tempfile.mkstemp tempfile.gettempdir tempfile.mktemp tempfile.TemporaryDirectory tempfile.NamedTemporaryFile tempfile.TemporaryFile : temp
    glob.glob glob.iglob : glob %0|pathname
    os.listdir : list-folder
    os.scandir : entries %0
    os.walk os.fwalk : walk %0|top
    shlex.split : split %0
    shlex.join subprocess.list2cmdline : spaced %0
    os.environ.get os.getenv os.environ.pop os.environ.setdefault os.getenvb os.environb.get decouple.config : environment %0
    os.environ.copy os.environ.items os.environ.values : environment
    input raw_input sys.stdin.read sys.stdin.readline sys.stdin.readlines sys.stdin.buffer.read : stdin
";
